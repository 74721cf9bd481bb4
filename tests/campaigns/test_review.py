"""Four eyes: who may publish what, and every move of a review."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from campaigns import review
from campaigns.audience import estimate
from campaigns.graph import read_graph
from campaigns.models import Journey, Review
from campaigns.publish import Forbidden, archive, publish, roll_back
from common.models import AuditEntry
from common.params import Invalid
from tests.campaigns.flows import DONE, flow, live, make_campaign, make_segment, make_template, node, republish
from tests.people import NOW, make_fact, make_profile

pytestmark = pytest.mark.django_db
SENDS = {"hello": node("send", template="hello"), "done": DONE}


def person(name: str) -> User:
    return User.objects.get_or_create(username=name)[0]


def draft(**fields: Any) -> Journey:
    make_template("hello")
    row = Journey.objects.create(key="j", name="J", campaign=make_campaign(), **fields)
    review.save_draft(row, flow(SENDS), now=NOW, by=person("ann"))
    return row


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def reach(people: int) -> None:
    for n in range(people):
        make_fact(make_profile(user_id=f"u{n}"), "Signed Up", at=NOW)


@pytest.mark.parametrize(
    ("above", "people", "asked"), [(None, 3, False), (3, 3, False), (2, 3, True), (0, 1, True), (0, 0, False)]
)
def test_above_how_many_people_the_writer_needs_a_second_pair(above: int | None, people: int, asked: bool) -> None:
    row = draft()
    reach(people)
    with override_settings(FOUR_EYES_ABOVE=above):
        if asked:
            with pytest.raises(Forbidden, match="somebody who did not write"):
                publish(row, now=NOW, by=person("ann"))
            assert row.versions.count() == 0
        else:
            assert publish(row, now=NOW, by=person("ann")).number == 1


@override_settings(FOUR_EYES_ABOVE=0)
def test_who_did_not_write_it_is_the_second_pair() -> None:
    row = draft()
    reach(1)
    assert publish(row, now=NOW, by=person("ben")).number == 1


@override_settings(FOUR_EYES_ABOVE=0)
def test_an_approval_lets_the_writer_publish_exactly_what_was_seen() -> None:
    row = draft()
    reach(1)
    asked = review.ask(row, now=NOW, by=person("ann"), note="please")
    assert (row.state, asked.state, asked.audience) == ("review", "open", 1)
    done = review.approve(row, now=NOW, by=person("ben"), reason="good")
    assert (done.state, done.decided_name, done.reason) == ("approved", "ben", "good")
    assert publish(row, now=NOW, by=person("ann")).number == 1
    row.refresh_from_db()
    assert (row.state, row.editors) == ("live", [])
    assert actions() == ["journey.review", "journey.approved", "journey.publish"]


@override_settings(FOUR_EYES_ABOVE=0)
def test_another_draft_asks_again() -> None:
    row = draft()
    reach(1)
    review.ask(row, now=NOW, by=person("ann"))
    review.approve(row, now=NOW, by=person("ben"))
    review.save_draft(row, flow(SENDS, entry={"reentry": "after_exit"}), now=NOW, by=person("ann"))
    with pytest.raises(Forbidden):
        publish(row, now=NOW, by=person("ann"))


def test_a_newer_template_is_not_what_was_seen() -> None:
    row = draft()
    review.ask(row, now=NOW, by=person("ann"))
    make_template("hello")
    with pytest.raises(Forbidden, match="no longer"):
        review.approve(row, now=NOW, by=person("ben"))
    assert Review.objects.get().state == "open"


def test_no_writer_and_no_asker_decides() -> None:
    row = draft()
    review.save_draft(row, flow(SENDS, entry={"reentry": "after_exit"}), now=NOW, by=person("eve"))
    review.ask(row, now=NOW, by=person("zed"))
    for name in ("ann", "eve", "zed"):
        for decide in (review.approve, review.send_back):
            with pytest.raises(Forbidden, match="cannot decide"):
                decide(row, now=NOW, by=person(name))
    with pytest.raises(Forbidden, match="cannot decide"):
        review.approve(row, now=NOW, by=None)
    assert review.send_back(row, now=NOW, by=person("ben"), reason="too loud").reason == "too loud"
    assert row.state == "draft"


def test_a_change_takes_the_request_back() -> None:
    row = draft()
    review.ask(row, now=NOW, by=person("ann"))
    assert review.save_draft(row, flow(SENDS, entry={"reentry": "after_exit"}), now=NOW, by=person("ann"))
    row.refresh_from_db()
    assert (row.state, Review.objects.get().state) == ("draft", "withdrawn")
    assert not review.save_draft(row, row.draft, now=NOW, by=person("eve"))
    assert row.editors == [f"user:{person('ann').pk}"]


def test_a_live_journey_stays_live_while_its_change_is_reviewed() -> None:
    make_template("hello")
    row = live(flow(SENDS), key="j")
    review.save_draft(row, flow(SENDS, entry={"reentry": "after_exit"}), now=NOW, by=person("ann"))
    review.ask(row, now=NOW, by=person("ann"))
    assert row.state == "live"
    review.send_back(row, now=NOW, by=person("ben"))
    assert row.state == "live"


def test_one_review_at_a_time_and_none_of_what_cannot_run() -> None:
    row = draft()
    review.ask(row, now=NOW, by=person("ann"))
    with pytest.raises(Forbidden, match="open already"):
        review.ask(row, now=NOW, by=person("ann"))
    review.withdraw(row, now=NOW, by=person("ann"), reason="not yet")
    with pytest.raises(Forbidden, match="no review is open"):
        review.withdraw(row, now=NOW, by=person("ann"))
    row.draft = flow({"hello": node("send", template="nobody"), "done": DONE})
    row.save()
    with pytest.raises(Invalid):
        review.ask(row, now=NOW, by=person("ann"))
    archive(row, now=NOW)
    with pytest.raises(Forbidden):
        review.save_draft(row, flow(SENDS), now=NOW)


def test_the_whole_table_of_moves() -> None:
    states = [one.value for one in Journey.State]
    allowed = {(a, b) for a, targets in Journey.MOVES.items() for b in targets}
    assert allowed == {
        ("draft", "review"), ("draft", "live"), ("draft", "archived"), ("review", "draft"), ("review", "live"),
        ("review", "archived"), ("live", "paused"), ("live", "archived"), ("live", "live"), ("paused", "live"),
        ("paused", "archived"),
    }  # fmt: skip
    assert set(Journey.MOVES) == set(states)
    assert {(a, b) for a, targets in Review.MOVES.items() for b in targets} == {
        ("open", "approved"), ("open", "refused"), ("open", "withdrawn"),
    }  # fmt: skip


@override_settings(FOUR_EYES_ABOVE=0)
def test_rolling_back_asks_nobody_again_and_makes_a_new_version() -> None:
    make_template("hello")
    row = live(flow(SENDS), key="j")
    reach(1)
    first = row.live_version
    assert first is not None
    republish(row, flow({**SENDS, "hello": node("send", "more", template="hello"), "more": node("wait", for_="1d")}))
    row.refresh_from_db()
    make_template("hello")
    again = roll_back(row, 1, now=NOW, by=person("ann"))
    assert (again.number, again.graph, again.digest, again.note) == (3, first.graph, first.digest, "as version 1")
    assert again.graph["nodes"]["hello"]["params"]["version"] == 1
    assert (row.live_version, row.draft) == (again, first.graph)
    for number in (3, 9):
        with pytest.raises(Forbidden):
            roll_back(row, number, now=NOW, by=person("ann"))


def test_estimates_by_what_starts_the_flow() -> None:
    reach(4)
    old = make_profile(user_id="old")
    make_fact(
        old, "Signed Up", at=NOW.replace(month=NOW.month - 2) if NOW.month > 2 else NOW.replace(year=NOW.year - 1)
    )
    members = tuple(make_profile(user_id=f"m{n}") for n in range(3))
    make_segment("vip", members)
    by_fact = flow({"done": DONE})
    by_segment = {**by_fact, "trigger": {"type": "segment_entered", "params": {"segment": "vip"}}}
    capped = {**by_segment, "entry": {"per_day": 0}}
    said = [estimate(read_graph(raw), now=NOW) for raw in (by_fact, by_segment, capped)]
    assert said == [4, 3, 0]
