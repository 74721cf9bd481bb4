"""Bodies and queries that are wrong: always a 4xx in the one form, never a server error, never a stored poison."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.callers import a_program, codes

pytestmark = pytest.mark.django_db
ENROL = "/api/journeys/welcome/enrol"
NOWHERE = "non_field_errors"  # the body as a whole


def post(body: bytes | str, content_type: str = "application/json") -> Any:
    client = a_program("*").client
    return client.post(ENROL, body, content_type=content_type, headers={"Idempotency-Key": "k"})


@pytest.mark.parametrize(
    ("body", "code", "attr"),
    [
        (" ", "empty_body", None), ("{", "not_json", None), (b"\xff\xfe", "not_json", None),
        ("[" * 200_000, "too_deep", None), ('{"people": NaN}', "not_a_number", "people"),
        ('{"people": [{"user_id": "a\\u0000"}]}', "bad_text", "people.0.user_id"),
        ('{"people": [{"user_id": "\\ud800"}]}', "bad_text", "people.0.user_id"),
        ('{"a": 1, "a": 2}', "duplicate_key", NOWHERE), ('{"people": ' + "9" * 4000 + "}", "number_too_large", "people"),
        ("[" * 5000 + "]" * 5000, "too_deep", ".".join("0" * 34)), ('{"\\u0000": 1}', "bad_text", NOWHERE),
    ],
)  # fmt: skip
def test_a_poisoned_body_is_400_and_says_where(body: bytes | str, code: str, attr: str | None) -> None:
    answer = post(body)
    assert answer.status_code == 400
    assert codes(answer) == [(code, attr)]


def test_everything_that_cannot_be_stored_is_told_at_once() -> None:
    variables = '{"a": "x\\u0000", "b": NaN, "c": {"d": [1, 1e400]}, "e": "fine"}'
    answer = post(f'{{"people": [{{"user_id": "u1", "variables": {variables}}}, {{"user_id": "\\ud800"}}]}}')
    assert answer.json()["type"] == "validation_error"
    assert codes(answer) == [
        ("bad_text", "people.0.variables.a"),
        ("not_a_number", "people.0.variables.b"),
        ("number_too_large", "people.0.variables.c.d.1"),
        ("bad_text", "people.1.user_id"),
    ]
    flood = post("[" + ",".join(["NaN"] * 5000) + "]")
    assert len(codes(flood)) == 100


@pytest.mark.parametrize(
    "body", ["[]", "null", "7", '"x"', '{"people": {}}', '{"people": []}', '{"people": [7]}', "{}"]
)
def test_a_body_of_another_shape_is_400(body: str) -> None:
    answer = post(body)
    assert answer.status_code == 400
    assert codes(answer)


def test_too_large_is_413_and_another_type_415() -> None:
    answer = post('{"people": [{"user_id": "' + "x" * 600_000 + '"}]}')
    assert (answer.status_code, codes(answer)) == (413, [("too_large", None)])
    answer = post("a=b", "application/x-www-form-urlencoded")
    assert (answer.status_code, codes(answer)) == (415, [("unsupported_media_type", None)])


def test_over_the_limit_of_the_whole_server_is_413_too() -> None:
    answer = post("x" * (3 * 1024 * 1024))
    assert (answer.status_code, codes(answer)) == (413, [("too_large", None)])


@pytest.mark.parametrize(
    ("path", "query", "attr"),
    [
        ("/api/segments", {"stat": "x"}, "stat"), ("/api/segments", {"ordering": "rule"}, "ordering"),
        ("/api/deliveries", {"profile__email__startswith": "a"}, "profile__email__startswith"),
        ("/api/deliveries", {"state": "gone"}, "state"), ("/api/deliveries", {"user_id": "\x00"}, "user_id"),
        ("/api/segments", {"limit": "0"}, "limit"), ("/api/segments", {"limit": "501"}, "limit"),
        ("/api/segments", {"limit": "-1"}, "limit"), ("/api/segments", {"limit": "x"}, "limit"),
        ("/api/segments", {"cursor": "x"}, "cursor"), ("/api/segments", {"cursor": "cD1hYmM="}, "cursor"),
        ("/api/segments", {"cursor": "cD0wJm89LTE="}, "cursor"), ("/api/segments", {"cursor": "é" * 300}, "cursor"),
        ("/api/segments", {"cursor": "\x00"}, "cursor"), ("/api/segments", {"cursor": "AAAA"}, "cursor"),
        ("/api/segments", {"cursor": "cj0x"}, "cursor"), ("/api/segments", {"cursor": "bz0x"}, "cursor"),
        ("/api/inbox", {}, "user_id"), ("/api/reports/utm-conversions", {"by": "shoe"}, "by"),
        ("/api/reports/utm-conversions", {"from": "soon"}, "from"), ("/api/reports/utm-conversions", {"x": "1"}, "x"),
        ("/api/reports/holdout-lift", {"window": "0"}, "window"),
    ],
)  # fmt: skip
def test_a_wrong_query_is_400_and_says_where(path: str, query: dict[str, str], attr: str) -> None:
    answer = a_program("*").get(path, **query)
    assert answer.status_code == 400, answer.content
    assert attr in [where for _, where in codes(answer)]


def test_errors_of_a_csv_request_are_json_all_the_same() -> None:
    program = a_program("*")
    assert codes(program.get("/api/reports/utm-conversions", format="csv", by="shoe"))
    assert program.get("/api/reports/none", format="csv").status_code == 404
    answer = program.get("/api/segments", format="xml")
    assert (answer.status_code, codes(answer)) == (404, [("not_found", None)])


@pytest.mark.parametrize("user", ["%00", "%ED%A0%80", "a/b", "x" * 300, "..", "%2e%2e/segments"])
def test_strange_user_ids_are_nobody(user: str) -> None:
    answer = a_program("*").client.get(f"/api/profiles/{user}")
    assert answer.status_code in (404, 400)
    assert codes(answer)
