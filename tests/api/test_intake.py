"""Programs and what came in: what the data taught, rows that were refused, and people without a user id."""

from __future__ import annotations

import pytest

from common.models import AuditEntry
from segments.event_schema import learn_events
from segments.models import Event, RejectedRow, Trait
from segments.models.groups import StaticList
from tests.api.callers import a_program, codes
from tests.people import NOW, make_profile, make_source

pytestmark = pytest.mark.django_db


def test_a_person_without_a_user_id_is_read_by_public_id_and_an_erased_one_not() -> None:
    mei = make_profile(email="mei@example.com", traits={"plan": "pro"})
    program = a_program("profiles:read")
    found = program.get(f"/api/people/{mei.public_id}").json()
    assert (found["public_id"], found["user_ids"], found["traits"]) == (str(mei.public_id), [], {"plan": "pro"})
    type(mei).objects.update(erased_at=NOW)
    assert program.get(f"/api/people/{mei.public_id}").status_code == 404
    assert program.get("/api/people/7f5b0a5e-7a5b-4a5e-8a5b-7a5b0a5e7f5b").status_code == 404


def test_traits_are_read_and_their_types_corrected() -> None:
    Trait.objects.create(key="plan", type="string", first_seen_at=NOW, last_seen_at=NOW)
    (found,) = a_program("segments:read").get("/api/traits").json()["results"]
    assert (found["key"], found["type"], found["corrected"]) == ("plan", "string", False)
    program = a_program("segments:write")
    answer = program.post("/api/traits/type", {"key": "plan", "type": "list"})
    assert (answer.status_code, answer.json()["type"], answer.json()["corrected"]) == (200, "list", True)
    assert Trait.objects.get().type == "list"
    assert AuditEntry.objects.get(action="trait.type").detail == {"key": "plan", "type": "list"}
    assert program.post("/api/traits/type", {"key": "nope", "type": "list"}).status_code == 404
    assert codes(program.post("/api/traits/type", {"key": "plan", "type": "tree"})) == [("invalid_choice", "type")]


def test_events_are_listed_with_their_properties() -> None:
    learn_events([("Viewed", {"sku": "a", "price": 3}), ("Left", {})], now=NOW)
    program = a_program("segments:read")
    assert [one["event"] for one in program.get("/api/events").json()["results"]] == ["Left", "Viewed"]
    found = program.get("/api/events/properties", event="Viewed").json()
    assert [(one["key"], one["types"]) for one in found["properties"]] == [("price", ["number"]), ("sku", ["string"])]
    assert program.get("/api/events/properties", event="Never").json() == {"event": "Never", "properties": []}
    assert codes(program.get("/api/events/properties")) == [("required", "event")]


def test_refused_rows_are_read_and_taken_in_again() -> None:
    source = make_source("shop")
    good = '{"type": "track", "userId": "u1", "event": "Viewed", "messageId": "m1"}'
    rows = [
        RejectedRow.objects.create(source=source, received_at=NOW, code=code, reason="r", payload=payload)
        for code, payload in (("bad_time", good), ("no_event", '{"type": "track", "userId": "u2", "messageId": "m2"}'))
    ]
    reader = a_program("profiles:read")
    assert [one["id"] for one in reader.get("/api/rejected").json()["results"]] == [rows[1].pk, rows[0].pk]
    (one,) = reader.get("/api/rejected", code="bad_time", source="shop").json()["results"]
    assert (one["payload"], one["reason"], one["replayed_as"]) == (good, "r", "")
    assert reader.get("/api/rejected", source="other").json()["results"] == []
    program = a_program("intake:replay")
    answer = program.post("/api/rejected/replay", {"ids": [rows[0].pk, rows[1].pk, 10**9]})
    assert answer.json() == {"stored": 1, "known": 0, "rejected": 1, "gone": 1}
    assert Event.objects.get(name="Viewed").live is False
    assert [one["id"] for one in reader.get("/api/rejected", waiting="true").json()["results"]] == [rows[1].pk]
    assert program.post("/api/rejected/replay", {"ids": []}).status_code == 400
    assert program.post("/api/rejected/replay", {"ids": [2**70]}).status_code == 400


def test_a_list_is_made_and_renamed() -> None:
    program = a_program("segments:write")
    made = program.post("/api/lists/vips/save", {"name": "VIPs", "name_zh": "贵宾"})
    assert (made.status_code, made.json()["size"]) == (200, 0)
    program.post("/api/lists/vips/save", {"name": "Best", "description": "by hand"})
    row = StaticList.objects.get()
    assert (row.name, row.name_zh, row.description) == ("Best", "", "by hand")
    assert program.post(f"/api/lists/{'k' * 81}/save", {"name": "x"}).status_code == 400
