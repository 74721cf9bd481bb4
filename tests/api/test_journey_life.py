"""Programs and the life of a journey: the rules are those of the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from campaigns import review
from campaigns.engine import advance
from campaigns.enrol import enrol
from campaigns.models import Enrolment, Journey
from campaigns.triggers import Entry
from common import clock
from tests.api.callers import a_program, codes
from tests.campaigns.flows import DONE, flow, live, make_campaign, make_template, node
from tests.people import NOW, make_fact, make_profile

pytestmark = pytest.mark.django_db
FIRST = {"long": node("wait", for_="10d"), "done": DONE}
SECOND = {"mail": node("send", template="hello"), "done": DONE}


def journey(**fields: Any) -> Journey:
    make_template("hello")
    return Journey.objects.create(key="j", name="J", campaign=make_campaign(), draft=flow(SECOND), **fields)


def test_a_draft_is_stored_checked_and_published() -> None:
    row = journey()
    writer, publisher = a_program("journeys:write"), a_program("journeys:read", "journeys:publish")
    assert (
        writer.post(
            "/api/journeys/j/draft", {"graph": flow({"mail": node("send", template="no"), "done": DONE})}
        ).status_code
        == 200
    )
    found = publisher.get("/api/journeys/j/findings").json()
    assert [(one["place"], one["severity"]) for one in found["findings"] if one["severity"] == "error"] == [
        ("nodes.mail", "error")
    ]
    assert found["audience"] is None
    assert codes(publisher.post("/api/journeys/j/publish", {})) == [("invalid", "nodes.mail")]
    writer.post("/api/journeys/j/draft", {"graph": flow(SECOND)})
    found = publisher.get("/api/journeys/j/findings").json()
    assert {one["lint"] for one in found["findings"]} >= {"goal", "holdout"}
    answer = publisher.post("/api/journeys/j/publish", {"confirmed": []})
    assert (answer.status_code, codes(answer)[0][0]) == (409, "unconfirmed")
    answer = publisher.post("/api/journeys/j/publish", {"confirmed": found["confirm"], "reason": "go"})
    assert (answer.status_code, answer.json()["state"], answer.json()["version"]) == (200, "live", 1)
    row.refresh_from_db()
    assert [one["note"] for one in publisher.get("/api/journeys/j/versions").json()["results"]] == ["go"]


@override_settings(FOUR_EYES_ABOVE=0)
def test_a_key_needs_a_second_pair_of_eyes_as_a_person_does() -> None:
    row = journey()
    make_fact(make_profile(user_id="u"), "Signed Up", at=clock.now())
    key = a_program("journeys:write", "journeys:publish")
    key.post("/api/journeys/j/draft", {"graph": flow(SECOND, exits=[{"fact": "Order Completed"}])})
    answer = key.post("/api/journeys/j/publish", {})
    assert (answer.status_code, codes(answer)[0][0]) == (409, "forbidden_move")
    assert key.post("/api/journeys/j/review", {"reason": "look"}).json()["state"] == "review"
    assert key.post("/api/journeys/j/approve", {}).status_code == 409
    row.refresh_from_db()
    review.approve(row, now=NOW, by=User.objects.create(username="ben"))
    assert key.post("/api/journeys/j/publish", {}).json()["state"] == "live"


def test_people_move_and_versions_come_back() -> None:
    make_template("hello")
    row = live(flow(FIRST), key="j")
    enrol(row, [Entry(profile=make_profile(user_id=f"u{n}").pk, key=f"k{n}") for n in range(2)], now=NOW)
    advance(NOW)
    review.save_draft(row, flow(SECOND), now=NOW)
    key = a_program("journeys:read", "journeys:publish")
    said = key.get("/api/journeys/j/diff").json()["changes"]
    assert said[0] == {"kind": "start", "node": "mail", "text": "A walk begins at “mail”, no longer at “long”"}
    wrong = key.post("/api/journeys/j/publish", {"under_way": "move", "mapping": {"1": {"long": "x"}}})
    assert codes(wrong) == [("invalid", "1.long")]
    key.post("/api/journeys/j/publish", {"under_way": "move", "mapping": {"1": {"long": "mail"}}, "reason": "quick"})
    assert set(Enrolment.objects.values_list("version__number", "node")) == {(2, "mail")}
    moved = key.get("/api/journeys/j/transfers").json()["results"]
    assert [(one["version"], one["state"], one["moved"]) for one in moved] == [(2, "done", 2)]
    assert key.post("/api/journeys/j/people/stop", {}).status_code == 409
    assert key.post("/api/journeys/j/roll-back", {"version": 1, "under_way": "exit"}).json()["version"] == 3
    assert set(Enrolment.objects.values_list("state", flat=True)) == {"exited"}
    assert key.post("/api/journeys/j/roll-back", {"version": 9}).status_code == 409
    assert key.get("/api/journeys/j/diff", old=1, new=3).json()["changes"] == []
    assert key.get("/api/journeys/j/diff", old=8).status_code == 404
    assert [key.post(f"/api/journeys/j/{verb}", {"reason": "x"}).json()["state"] for verb in ("pause", "resume", "archive")] == [
        "paused", "live", "archived",
    ]  # fmt: skip
    assert key.post("/api/journeys/j/resume", {}).status_code == 409
    assert key.post("/api/journeys/j/people", {"under_way": "move"}).status_code == 200


def test_text_goes_out_and_in() -> None:
    journey()
    key = a_program("journeys:read", "journeys:write")
    text = key.get("/api/journeys/j/export").json()
    assert text["templates"][0]["content"]["en"]["subject"] == "Hi"
    assert key.get("/api/journeys/j/export", words="false").json()["templates"] == ["hello"]
    assert key.get("/api/journeys/j/export", version=1).status_code == 404
    Journey.objects.all().delete()
    checked = key.post("/api/journeys/check", {"text": text}).json()
    assert {(one["kind"], one["there"]) for one in checked["items"]} == {
        ("template", True),
        ("campaign", True),
        ("journey", False),
    }
    made = key.post("/api/journeys/install", {"text": text}).json()
    assert made == {"made": [{"kind": "journey", "key": "j", "there": False}], "replaced": False}
    asking = {**text, "asks": [{"key": "days", "title": "How long?"}]}
    assert codes(key.post("/api/journeys/install", {"text": asking})) == [("invalid", "asks.days")]


def test_letting_those_present_in_takes_the_right_to_enrol() -> None:
    journey()
    assert a_program("journeys:publish").post("/api/journeys/j/publish", {"enter_present": True}).status_code == 403
    assert (
        a_program("journeys:publish", "journeys:enrol")
        .post("/api/journeys/j/publish", {"enter_present": True})
        .status_code
        == 200
    )
