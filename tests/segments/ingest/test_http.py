"""The doors over HTTP: who may come in, what is too large, and an exact answer to every hostile body."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from common.models import ApiKey
from segments.models import Event, Profile, RejectedRow, Source
from tests.people import NOW, make_key, make_source

pytestmark = pytest.mark.django_db
SECRET = "pk_test_secret_of_web"
BASIC = "Basic " + base64.b64encode(f"{SECRET}:".encode()).decode()


@pytest.fixture(autouse=True)
def _a_key(db: None) -> Any:
    ApiKey.issue("web", ["ingest"], now=NOW, subject=f"source:{make_source().key}", secret=SECRET)
    with time_machine.travel(NOW, tick=False):
        yield


def post(path: str, body: Any, *, auth: str | None = BASIC, **headers: str) -> tuple[int, dict[str, Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = {} if auth is None else {"HTTP_AUTHORIZATION": auth}
    response = Client(enforce_csrf_checks=True).post(path, raw, content_type="application/json", **extra, **headers)
    return response.status_code, response.json()


CALL: dict[str, Any] = {"type": "track", "event": "Viewed", "userId": "mei", "messageId": "m1"}
STORED = {"success": True, "stored": 1, "known": 0, "errors": []}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen", "group", "alias"])
def test_every_single_door_with_and_without_a_slash(kind: str, slash: str) -> None:
    call = {"userId": "mei", "event": "Viewed", "previousId": "a1", "groupId": "g", "messageId": kind}
    assert post(f"/v1/{kind}{slash}", call) == (200, STORED)
    assert Event.objects.get().kind == kind


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/batch/", "/batch", "/batch/", "/v1/import", "/v1/import/"])
def test_every_batch_door(path: str) -> None:
    assert post(path, {"batch": [CALL]}) == (200, STORED)
    assert Event.objects.get().live is ("import" not in path)


def test_a_replay_answers_200_and_changes_nothing() -> None:
    post("/v1/track", CALL)
    assert post("/v1/track", CALL) == (200, {"success": True, "stored": 0, "known": 1, "errors": []})
    assert Event.objects.count() == 1


def test_the_key_may_stand_in_the_body() -> None:
    for number, name in enumerate(("api_key", "writeKey", "token")):
        body = {name: SECRET, "batch": [{**CALL, "messageId": str(number)}]}
        assert post("/batch/", body, auth=None) == (200, STORED)


def test_a_key_in_the_body_is_not_stored() -> None:
    post("/v1/track", {**CALL, "writeKey": SECRET, "properties": {"x": float("nan")}}, auth=None)
    assert SECRET not in RejectedRow.objects.get().payload


def test_wrong_keys_are_refused_with_401_and_json() -> None:
    old, revoked, other = make_key(), make_key(), make_key(scopes=["reports"])
    keys = ApiKey.objects.order_by("-pk")
    keys.filter(prefix=old[:11]).update(expires_at=NOW - timedelta(seconds=1))
    keys.filter(prefix=revoked[:11]).update(revoked_at=NOW)
    _, lost = ApiKey.issue("x", ["ingest"], now=NOW, subject="source:nowhere")
    _, engine = ApiKey.issue("x", ["ingest"], now=NOW, subject=f"source:{make_source('e', kind='engine').key}")
    for secret in ("", "wrong", "wrong\x00", "é", old, revoked, other, lost, engine):
        auth = "Basic " + base64.b64encode(f"{secret}:".encode()).decode()
        status, said = post("/v1/track", CALL, auth=auth)
        assert (status, said["code"], said["success"]) == (401, "unauthorised", False), secret
    for header in (None, "Basic", "Basic !!!", "Basic /w==", "Bearer x", "Basic " + "A" * 5000):
        assert post("/v1/track", CALL, auth=header)[0] == 401
    assert post(f"/v1/track?api_key={SECRET}", CALL, auth=None)[0] == 401
    for body in ({"api_key": 5, "batch": [CALL]}, {"api_key": "\ud800", "batch": [CALL]}):
        assert post("/batch/", body, auth=None)[0] == 401
    assert not Event.objects.exists()
    assert not RejectedRow.objects.exists()


def test_the_last_use_is_written_at_most_once_a_minute() -> None:
    key = ApiKey.objects.get()
    for seconds, used in ((0, 0), (30, 0), (61, 61)):
        with time_machine.travel(NOW + timedelta(seconds=seconds), tick=False):
            post("/v1/track", {**CALL, "messageId": str(seconds)})
        key.refresh_from_db()
        assert key.last_used_at == NOW + timedelta(seconds=used)


def test_other_methods_and_preflights() -> None:
    client = Client()
    assert client.get("/v1/track").status_code == 405
    preflight = client.options("/v1/track")
    assert (preflight.status_code, preflight["Access-Control-Allow-Origin"]) == (204, "*")


def test_gzip_is_taken_with_and_without_its_header() -> None:
    packed = gzip.compress(json.dumps({"batch": [CALL]}).encode())
    assert post("/v1/batch", packed, HTTP_CONTENT_ENCODING="gzip") == (200, STORED)
    assert post("/v1/batch", packed)[1]["known"] == 1
    two = gzip.compress(b'{"batch": [') + gzip.compress(b"]}")
    assert post("/v1/batch", two) == (200, {**STORED, "stored": 0})


def test_sent_at_corrects_a_wrong_clock() -> None:
    call = {**CALL, "timestamp": "2020-01-01T00:00:00Z"}
    post("/v1/batch", {"batch": [call], "sentAt": "2020-01-01T01:00:00Z"})
    assert Event.objects.get().occurred_at == NOW - timedelta(hours=1)


def test_the_envelopes_context_lies_beneath_the_calls_own() -> None:
    call = {**CALL, "context": {"locale": "de"}}
    post("/v1/batch", {"batch": [call], "context": {"locale": "en", "app": {"name": "x"}}})
    assert Event.objects.get().context == {"locale": "de", "app": {"name": "x"}}


def test_over_its_rate_a_source_is_told_when_to_come_again_and_nothing_is_taken() -> None:
    def send(count: int, key: str, at: int = 0, path: str = "/v1/batch") -> tuple[int, str, Any]:
        batch = [{**CALL, "messageId": f"{key}{n}"} for n in range(count)]
        body: Any = {"batch": batch} if "batch" in path else batch[0]
        with time_machine.travel(NOW + timedelta(seconds=at), tick=False):
            answer = Client().post(path, body, "application/json", headers={"authorization": BASIC})
        return answer.status_code, answer.headers.get("Retry-After", ""), answer.json().get("code")

    Source.objects.update(calls_a_minute=100)
    assert send(150, "a") == (200, "", None)
    for path in ("/v1/batch", "/v1/track", "/batch"):
        assert send(1, "b", path=path) == (429, "30", "too_many_calls")
    assert send(1, "b", at=29) == (429, "1", "too_many_calls")
    assert (Event.objects.count(), RejectedRow.objects.count()) == (150, 0)
    assert send(1, "b", at=30) == (200, "", None)
    assert send(0, "none", at=30) == (200, "", None)
    Source.objects.update(calls_a_minute=0)
    assert send(1, "c", at=900) == (429, "300", "too_many_calls")
    Source.objects.update(calls_a_minute=None)
    assert [send(150, key, at=900) for key in "def"] == [(200, "", None)] * 3
    assert post("/v1/batch", b"x")[0] == 400


@pytest.mark.parametrize("event", [{}, {"a": 1}, [], 7, None, True])
def test_posthogs_form_with_an_event_that_is_no_name(event: Any) -> None:
    batch = [{"event": event, "distinct_id": "mei", "uuid": "1"}, {"event": "Bought", "distinct_id": "bo", "uuid": "2"}]
    status, said = post("/batch/", {"api_key": SECRET, "batch": batch}, auth=None)
    assert (status, [one["index"] for one in said["errors"]]) == (200, [0])
    assert Event.objects.get().name == "Bought"


def test_posthogs_form() -> None:
    batch = [
        {"event": "$pageview", "distinct_id": "v", "uuid": "1", "properties": {"$process_person_profile": False}},
        {"event": "$identify", "distinct_id": "mei", "uuid": "2", "properties": {"$anon_distinct_id": "v"}},
        {"event": "$set", "distinct_id": "mei", "uuid": "3", "$set": {"email": "m@x.example"}},
        {"event": "$set", "distinct_id": "mei", "uuid": "4", "$set_once": {"plan": "a", "email": "no@x.example"}},
        {"event": "$create_alias", "distinct_id": "w", "uuid": "5", "properties": {"distinct_id": "w", "alias": "mei"}},
        {"event": "Bought", "distinct_id": "mei", "uuid": "6", "properties": {"$set": {"plan": "b"}, "n": 1}},
        {"event": "$groupidentify", "distinct_id": "mei", "uuid": "7", "properties": {"$group_key": "acme"}},
    ]
    assert post("/batch/", {"api_key": SECRET, "batch": batch}, auth=None)[1]["errors"] == []
    mei = Profile.objects.get()
    assert (mei.email, mei.traits) == ("m@x.example", {"plan": "b"})
    assert set(mei.identities.values_list("kind", "value")) == {
        ("user_id", "mei"),
        ("anonymous_id", "v"),
        ("anonymous_id", "w"),
        ("user_id", "w"),
        ("email", "m@x.example"),
    }
    kinds = Event.objects.order_by("key").values_list("kind", flat=True)
    assert list(kinds) == ["page", "identify", "identify", "identify", "alias", "track", "group"]


DEEP = {depth: "[" * depth + "]" * depth for depth in (31, 32, 5_000, 100_000)}


def bomb() -> bytes:
    return gzip.compress(b" " * 50_000_000)


# Bodies of /v1/batch that are refused as a whole: body, status, code.
WHOLE: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 400, "empty_body"),
    ("white", b" \n ", 400, "empty_body"),
    ("only a BOM", b"\xef\xbb\xbf", 400, "empty_body"),
    ("not JSON", b"{batch}", 400, "not_json"),
    ("cut short", b'{"batch": [', 400, "not_json"),
    ("a single quote", b"{'batch': []}", 400, "not_json"),
    ("raw NUL", b'{"batch": [{"event": "\x00"}]}', 400, "not_json"),
    ("UTF-16", '{"batch": []}'.encode("utf-16"), 400, "not_json"),
    ("trailing", b'{"batch": []} x', 400, "not_json"),
    ("list", b"[]", 400, "no_batch"),
    ("text", b'"batch"', 400, "no_batch"),
    ("null", b"null", 400, "no_batch"),
    ("number", b"1e999", 400, "number_too_large"),
    ("no batch", b"{}", 400, "no_batch"),
    ("batch is an object", b'{"batch": {}}', 400, "no_batch"),
    ("batch twice", b'{"batch": [], "batch": []}', 400, "duplicate_key"),
    ("100,000 open brackets", b"[" * 100_000, 400, "too_deep"),
    ("600 KiB", b'{"batch": [' + b" " * 600 * 1024 + b"]}", 413, "too_large"),
    ("600 KiB in gzip", gzip.compress(b'{"batch": [' + b" " * 600 * 1024 + b"]}"), 413, "too_large"),
    ("50 MB bomb", bomb(), 413, "too_large"),
    ("501 items", json.dumps({"batch": [1] * 501}).encode(), 413, "too_many_items"),
    ("cut gzip", gzip.compress(b'{"batch": []}')[:-9], 400, "bad_gzip"),
    ("false gzip", b"\x1f\x8bnonsense", 400, "bad_gzip"),
    ("zlib, not gzip", zlib.compress(b'{"batch": []}'), 400, "not_json"),
]


@pytest.mark.parametrize(("body", "status", "code"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE])
def test_hostile_bodies(body: bytes, status: int, code: str) -> None:
    answer, said = post("/v1/batch", body)
    assert (answer, said["code"], said["success"]) == (status, code, False)
    assert not Event.objects.exists()


def test_an_encoding_we_do_not_speak() -> None:
    assert post("/v1/batch", b"x", HTTP_CONTENT_ENCODING="br")[1]["code"] == "bad_encoding"


def row(inner: str, **also: Any) -> str:
    """The text of a call whose property "x" is the given JSON text."""
    return json.dumps({**CALL, "messageId": "bad", "properties": {"x": "HERE"}, **also}).replace('"HERE"', inner)


def order(**said: Any) -> str:
    """The text of an order with something wrong about it."""
    properties = {"order_id": "o1", "total": 5, "currency": "USD", **said}
    return json.dumps({**CALL, "event": "Order Completed", "messageId": "bad", "properties": properties})


# Rows of a batch: the JSON text, code and path.
ROWS: list[tuple[str, str, str, str]] = [
    ("NUL value", row('"a\\u0000b"'), "nul", "properties.x"),
    ("NUL key", row('{"a\\u0000": 1}'), "nul", "properties.x"),
    ("lone high surrogate", row('"\\ud800"'), "lone_surrogate", "properties.x"),
    ("lone low surrogate", row('"\\udfff x"'), "lone_surrogate", "properties.x"),
    ("surrogates the wrong way", row('"\\udc00\\ud800"'), "lone_surrogate", "properties.x"),
    ("surrogate key", row('{"\\ud83d": 1}'), "lone_surrogate", "properties.x"),
    ("NaN", row("NaN"), "not_a_number", "properties.x"),
    ("Infinity", row("[1, -Infinity]"), "not_a_number", "properties.x.1"),
    ("1e999", row("1e999"), "number_too_large", "properties.x"),
    ("-1e400", row("-1e400"), "number_too_large", "properties.x"),
    ("1e300", row("1e300"), "number_too_large", "properties.x"),
    ("2**63", row(str(2**63)), "number_too_large", "properties.x"),
    ("4,000 digits", row("9" * 4000), "number_too_large", "properties.x"),
    ("20,000 digits", row("-" + "9" * 20_000), "number_too_large", "properties.x"),
    ("duplicate keys", row('{"a": 1, "a": 2}'), "duplicate_key", "properties.x"),
    ("duplicate keys above", '{"userId": "a", "userId": "b"}', "duplicate_key", ""),
    ("nesting 33", row(DEEP[31]), "too_deep", "properties.x" + ".0" * 30),
    ("nesting 5,000", row(DEEP[5_000]), "too_deep", "properties.x" + ".0" * 30),
    ("nesting 100,000", row(DEEP[100_000]), "too_deep", "properties.x" + ".0" * 30),
    ("201 keys", row(json.dumps({f"k{i}": 1 for i in range(201)})), "too_many_keys", "properties.x"),
    ("50,000 keys", row(json.dumps({str(i): 1 for i in range(25_000)})), "too_many_keys", "properties.x"),
    ("a key of 65", row(json.dumps({"k" * 65: 1})), "key_too_long", "properties.x"),
    ("a text of 8,193", row(json.dumps("s" * 8193)), "string_too_long", "properties.x"),
    ("8,193 bytes of Chinese", row(json.dumps("中" * 2731, ensure_ascii=False)), "string_too_long", "properties.x"),
    ("33 KiB", row(json.dumps(["s" * 8000] * 5)), "too_large", ""),
    ("a number", "5", "not_an_object", ""),
    ("null", "null", "not_an_object", ""),
    ("a list", "[]", "not_an_object", ""),
    ("no type", '{"userId": "a"}', "missing_type", "type"),
    ("type of a list", '{"type": [], "userId": "a"}', "unknown_type", "type"),
    ("unknown type", '{"type": "explode", "userId": "a"}', "unknown_type", "type"),
    ("nobody", '{"type": "page"}', "missing_id", "userId"),
    ("empty ids", '{"type": "page", "userId": " ", "anonymousId": ""}', "missing_id", "userId"),
    ("an id that is an object", '{"type": "page", "userId": {"$gt": ""}}', "wrong_type", "userId"),
    ("an id that is true", '{"type": "page", "userId": true}', "wrong_type", "userId"),
    ("a long id", json.dumps({"type": "page", "userId": "u" * 256}), "id_too_long", "userId"),
    ("alias without previous", '{"type": "alias", "userId": "a"}', "missing_id", "previousId"),
    ("no event", row("1", event=None), "missing_event", "event"),
    ("blank event", row("1", event="  "), "missing_event", "event"),
    ("event of a number", row("1", event=7), "wrong_type", "event"),
    ("a long event", row("1", event="e" * 201), "name_too_long", "event"),
    ("the engine's name", row("1", event="@segment_entered"), "reserved_name", "event"),
    ("properties of a list", row("1", properties=[1]), "wrong_type", "properties"),
    ("context of text", row("1", context="x"), "wrong_type", "context"),
    ("traits of a number", '{"type": "identify", "userId": "a", "traits": 1}', "wrong_type", "traits"),
    ("a word for a time", row("1", timestamp="yesterday"), "bad_timestamp", "timestamp"),
    ("a number for a time", row("1", timestamp=1700000000), "bad_timestamp", "timestamp"),
    ("the 13th month", row("1", timestamp="2026-13-01T00:00:00Z"), "bad_timestamp", "timestamp"),
    ("year 10000", row("1", timestamp="10000-01-01T00:00:00Z"), "bad_timestamp", "timestamp"),
    ("a message id of a list", row("1", messageId=[]), "wrong_type", "messageId"),
    ("a long message id", row("1", messageId="m" * 256), "id_too_long", "messageId"),
    ("an order without an id", order(order_id=None), "missing_order_id", "properties.order_id"),
    ("an order id of true", order(order_id=True), "missing_order_id", "properties.order_id"),
    ("a long order id", order(order_id="o" * 121), "id_too_long", "properties.order_id"),
    ("an order without a total", order(total=None), "missing_total", "properties.total"),
    ("lines without prices", order(total=None, products=[{"price": "x"}]), "missing_total", "properties.total"),
    ("lines beyond all", order(total=None, products=[{"price": "1e999999"}]), "missing_total", "properties.total"),
    ("a word for a total", order(total="free"), "bad_amount", "properties.total"),
    ("NaN for a total", order(total="NaN"), "bad_amount", "properties.total"),
    ("infinity for a total", order(total="-Infinity"), "bad_amount", "properties.total"),
    ("1e999999 for a total", order(total="1e999999"), "bad_amount", "properties.total"),
    ("8,000 digits for a total", order(total="9" * 8000), "bad_amount", "properties.total"),
    ("1e17 for a total", order(total=1e17), "bad_amount", "properties.total"),
    ("1_000 for a total", order(total="1_000"), "bad_amount", "properties.total"),
    ("a total of a list", order(total=[1]), "bad_amount", "properties.total"),
    ("a total of true", order(total=True), "bad_amount", "properties.total"),
    ("a negative total", order(total=-1), "bad_amount", "properties.total"),
    ("a currency of six letters", order(currency="DOLLAR"), "bad_currency", "properties.currency"),
    ("a currency of a number", order(currency=840), "bad_currency", "properties.currency"),
    ("a currency in Cyrillic", order(currency="РУБ"), "bad_currency", "properties.currency"),
]


@pytest.mark.parametrize(("text", "code", "path"), [item[1:] for item in ROWS], ids=[item[0] for item in ROWS])
def test_hostile_rows_fail_alone_amid_good_ones(text: str, code: str, path: str) -> None:
    good = [json.dumps({**CALL, "messageId": f"good{i}"}) for i in range(4)]
    body = '{"batch": [' + ", ".join([*good[:2], text, *good[2:]]) + "]}"
    status, said = post("/v1/batch", body.encode())
    assert (status, said["stored"], len(said["errors"])) == (200, 4, 1)
    error = said["errors"][0]
    assert (error["index"], error["code"], error["path"]) == (2, code, path)
    assert error["message"]
    assert "<class" not in error["message"]
    kept = RejectedRow.objects.get()
    assert (kept.code, kept.path) == (code, path)
    assert "\x00" not in kept.payload


def test_broken_utf8_fails_alone() -> None:
    good, bad = json.dumps(CALL).encode(), row('"caf\xe9"').encode("latin-1")
    status, said = post("/v1/batch", b'{"batch": [' + bad + b", " + good + b"]}")
    assert (status, said["stored"]) == (200, 1)
    assert (said["errors"][0]["code"], said["errors"][0]["path"]) == ("bad_utf8", "properties.x")


def test_a_poison_row_amid_500() -> None:
    rows = [json.dumps({**CALL, "messageId": f"m{i}"}) for i in range(500)]
    rows[321] = row(DEEP[5_000])
    status, said = post("/v1/batch", ('{"batch": [' + ",".join(rows) + "]}").encode())
    assert (status, said["stored"], [error["index"] for error in said["errors"]]) == (200, 499, [321])


def test_what_is_odd_but_well_is_stored_as_it_came() -> None:
    said = {
        "deep": json.loads(DEEP[31][1:-1]),
        "emoji": "👩‍👩‍👧 \u2028",
        "big": 2**63 - 1,
        "small": -(2**63) + 1,
        "real": 0.1,
        "keys": {f"k{i}": i for i in range(200)},
        "text": "s" * 8192,
        "'; DROP TABLE": "{{ 7*7 }} %s %(x)s \\",
        "": "",
        "id": 1,
        "is_staff": True,
    }
    assert post("/v1/track", b"\xef\xbb\xbf" + json.dumps({**CALL, "properties": said}).encode())[1] == STORED
    assert Event.objects.get().properties == said


def test_nothing_in_traits_reaches_columns_that_are_ours() -> None:
    forged = {"is_staff": True, "id": 1, "shard": 99, "bucket": 1, "merged_into": 1, "no_profiling": False, "points": 9}
    forged |= {"public_id": "x", "erased_at": "2026-01-01T00:00:00Z", "consent": {"email": True}, "stage": "vip"}
    assert post("/v1/identify", {"userId": "mei", "traits": forged})[1] == STORED
    mei = Profile.objects.get()
    assert mei.traits == forged
    assert (mei.shard < 16, mei.erased_at, mei.merged_into_id) == (True, None, None)


def test_a_lenient_source_repairs_text_and_says_so() -> None:
    Source.objects.update(lenient=True)
    body = ('{"batch": [' + row('"a\\u0000b\\ud800"') + "]}").encode()
    assert post("/v1/batch", body)[1] == STORED
    event = Event.objects.get()
    assert (event.properties, event.flags) == ({"x": "a\ufffdb\ufffd"}, "repaired")


def test_a_wrong_row_of_a_single_door_answers_200_with_its_reason() -> None:
    status, said = post("/v1/track", {"userId": "mei"})
    assert (status, said["errors"][0]["code"]) == (200, "missing_event")
    for body, code in ((b"[]", "not_an_object"), (b'{"a":1,"a":2,"writeKey":"x"}', "duplicate_key")):
        status, said = post("/v1/track", body)
        assert (status, said["code"]) == (400, code)
