"""Batches of generated calls and bodies: a fixed set of answers, each row stored or refused for a reason, nothing lost.

Everything that a sender may get wrong in one call is drawn beside what is right; so is the form of the whole body.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from common.models import ApiKey
from segments.models import Event, EventStats, Identity, Order, Profile, RejectedRow
from tests.fuzzing import SHARE, Budget, told
from tests.people import NOW, make_source

pytestmark = pytest.mark.django_db
SECRET = "pk_test_secret_of_web"
BASIC = "Basic " + base64.b64encode(f"{SECRET}:".encode()).decode()
FEW = 40
ANSWERS = {
    400: {"empty_body", "not_json", "no_batch", "duplicate_key", "too_deep", "bad_gzip", "not_a_number",
          "number_too_large"},
    413: {"too_large", "too_many_items"},
}  # fmt: skip

texts = st.text(max_size=12) | st.sampled_from(
    ["", " ", "null", "u1", "\x00", "\ud800", "é", "中文", "x" * 300, "$set", "@stage", "=1+1", "2026-03-02", "<b>"]
)
numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 10**40, 1e308, 0, -0.0])
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))
ids = st.sampled_from(["u1", "u2", "a1", "a2", "mei"]) | texts | values
times = st.sampled_from(
    ["2026-03-02T11:00:00Z", "2026-03-02", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "now", "", 5, None]
) | st.datetimes().map(str)
events = (
    st.sampled_from(
        [
            "Viewed",
            "Order Completed",
            "Order Refunded",
            "Order Cancelled",
            "Order Updated",
            "Subscribed",
            "Signed Up",
            "@x",
        ]
    )
    | texts
)
money = st.fixed_dictionaries(
    {},
    optional={
        "order_id": ids, "total": values, "currency": st.sampled_from(["USD", "JPY", "usd", "XXX", ""]) | values,
        "coupon": values, "products": values, "revenue": values, "$set": values, "utm_source": values,
    },
)  # fmt: skip
traits = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["a@b.example", "A@B.EXAMPLE", "no"]) | values, "phone": values, "birthday": times,
        "createdAt": times, "timezone": st.sampled_from(["PRC", "Mars/X"]) | values, "address": values, "name": values,
    },
)  # fmt: skip
calls = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "identify", "alias", "page", "screen", "group"]) | values,
        "event": events | values, "userId": ids, "anonymousId": ids, "previousId": ids, "groupId": ids,
        "messageId": st.sampled_from(["m1", "m2", "m3"]) | values, "timestamp": times | values,
        "originalTimestamp": times, "properties": money | values, "traits": traits | values,
        "context": values, "distinct_id": ids, "uuid": texts, "name": values, "traitsOnce": values,
    },
)  # fmt: skip
batches = st.lists(calls | values, max_size=8)
envelopes = st.fixed_dictionaries(
    {"batch": batches}, optional={"sentAt": times | values, "context": values, "historical_migration": values}
)
shapes = st.sampled_from(["plain", "plain", "plain", "gzip", "cut", "flipped", "doubled"])


def bytes_of(value: Any, shape: str, place: int) -> bytes:
    """The body in JSON as Python writes it (NaN and lone surrogates too), whole or broken at some place."""
    raw = json.dumps(value, ensure_ascii=place % 2 == 0).encode("utf-8", "surrogatepass")
    at = place % max(1, len(raw))
    packed = {"gzip": gzip.compress(raw), "cut": raw[:at], "doubled": raw + raw[at:]}
    flipped = raw[:at] + bytes([raw[at] ^ (1 << place % 8)]) + raw[at + 1 :]
    return packed.get(shape, flipped if shape == "flipped" else raw)


def send(path: str, raw: bytes) -> tuple[int, dict[str, Any]]:
    answer = Client().post(path, raw, "application/json", headers={"authorization": BASIC})
    return answer.status_code, answer.json()


def facts() -> int:
    return Event.objects.exclude(kind="system").count()


def judge(path: str, raw: bytes) -> int:
    """Send a body twice; the status of the first answer. All that was said must be found again."""
    before, refused = facts(), RejectedRow.objects.count()
    status, said = send(path, raw)
    if status != 200:
        assert said["code"] in ANSWERS[status], said
        assert said["success"] is False
        assert (facts(), RejectedRow.objects.count()) == (before, refused)
        return status
    errors = said["errors"]
    rows = said["stored"] + said["known"] + len(errors)
    assert [row["index"] for row in errors] == sorted({row["index"] for row in errors})
    assert all(row["code"] and row["message"] and row["index"] < rows for row in errors)
    assert facts() - before == said["stored"]
    assert RejectedRow.objects.count() - refused == len(errors)
    assert not [row for row in errors if row["code"] == "unstorable"], (errors, raw)
    again = send(path, raw)
    assert again == (200, {"success": True, "stored": 0, "known": rows - len(errors), "errors": again[1]["errors"]})
    assert {row["index"] for row in again[1]["errors"]} == {row["index"] for row in errors}
    assert facts() - before == said["stored"]
    return status


def check_whole() -> None:
    """What must hold of the people and their counters, whatever came in."""
    counted = {(row.profile_id, row.name): row.count for row in EventStats.objects.all()}
    found: dict[tuple[int, str], int] = {}
    for profile, name in Event.objects.exclude(kind="system").values_list("profile_id", "name"):
        found[profile, name] = found.get((profile, name), 0) + 1
    assert counted == found
    assert not Identity.objects.filter(profile__merged_into__isnull=False).exists()
    assert not Profile.objects.filter(merged_into__isnull=False, events__isnull=False).exists()
    assert all(0 <= order.refunded <= max(order.total, 0) for order in Order.objects.all())


def fuzz(seconds: float) -> dict[int, int]:
    """Rounds until the time is over; returns how many bodies came to which status."""
    statuses: dict[int, int] = {}
    budget = Budget(seconds)

    def one(body: Any, shape: str, place: int, path: str) -> None:
        status = judge(path, bytes_of(body, shape, place))
        statuses[status] = statuses.get(status, 0) + 1

    for number in budget.rounds():
        run = given(
            body=envelopes | envelopes | values,
            shape=shapes,
            place=st.integers(0, 10_000),
            path=st.sampled_from(["/v1/batch", "/batch", "/v1/import"]),
        )(one)
        run = settings(
            max_examples=FEW,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(run)
        seed(told(number))(run)()
        check_whole()
    return statuses


def test_whatever_a_batch_holds_each_row_is_stored_or_refused_for_a_reason() -> None:
    ApiKey.issue("web", ["ingest"], now=NOW, subject=f"source:{make_source().key}", secret=SECRET)
    statuses = fuzz(SHARE)
    print(f"bodies by status: {statuses}")
    assert statuses[200] > 10
    assert statuses[400] > 3
    assert set(statuses) <= {200, 400, 413}
