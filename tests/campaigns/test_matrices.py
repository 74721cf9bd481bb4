"""Re-entry, exits and goals as tables of exact outcomes, also for facts that come late, early, twice or from before."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction

from campaigns.engine import advance
from campaigns.models import Enrolment
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.merge import Pair, merge_many
from segments.models import Profile
from tests.campaigns.flows import DONE, ORDER, conserved, flow, live, make_campaign, make_goal, node, path, react_all
from tests.people import NOW, make_profile, make_source

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WALK = {"w": node("wait", for_="2d"), "done": DONE}
HOPE = {"w": node("wait_for", {"happened": "yes", "timeout": "no"}, fact=ORDER, timeout="2d"), "yes": DONE, "no": DONE}
KEYED = {"type": "fact", "params": {"fact": "Signed Up", "key": "order"}}


def state(person: Profile, name: str, *, at: datetime, heard: datetime | None = None, **said: object) -> None:
    """A fact that occurred `at` and that we hear of then, or only later; `live=False` is history."""
    live_fact = bool(said.pop("live", True))
    key = str(said.pop("source_key", f"{name}:{at.isoformat()}:{said}"))
    fact = NewFact(person.pk, person.shard, name, at, key, make_source().pk, properties=said, live=live_fact)
    append_facts([fact], now=heard or at)
    react_all(heard or at)
    advance(heard or at)


def outcomes() -> list[str]:
    """What became of each entry, in order: its state, with the reason where it was refused or left."""
    rows = Enrolment.objects.order_by("pk").values_list("state", "reason")
    return [f"{what} {why}".strip() if what in ("refused", "exited") else what for what, why in rows]


# re-entry: signed up at once, again while under way, again half a day after the end, and again five days later


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"reentry": "once"}, ["completed", "refused under_way", "refused once", "refused once"]),
        ({"reentry": "after_exit"}, ["completed", "refused under_way", "completed", "active"]),
        ({"reentry": "cooldown", "cooldown": "1d"}, ["completed", "refused under_way", "refused cooldown", "active"]),
        (
            {"reentry": "cooldown", "cooldown": "30d"},
            ["completed", "refused under_way", "refused cooldown", "refused cooldown"],
        ),
    ],
)
def test_entering_again(rules: dict[str, str], expected: list[str]) -> None:
    live(flow(WALK, entry=rules))
    mei = make_profile()
    state(mei, "Signed Up", at=NOW)
    state(mei, "Signed Up", at=NOW + DAY)
    advance(NOW + 2 * DAY)
    state(mei, "Signed Up", at=NOW + 2.5 * DAY)
    advance(NOW + 4.5 * DAY)
    state(mei, "Signed Up", at=NOW + 7 * DAY)
    assert outcomes() == expected
    assert conserved()


def test_entering_again_by_key() -> None:
    live({**flow(WALK, entry={"reentry": "keyed"}), "trigger": KEYED})
    mei = make_profile()
    for order, at in (("a", NOW), ("b", NOW), ("a", NOW + DAY)):
        state(mei, "Signed Up", at=at, order=order)
    advance(NOW + 2 * DAY)
    state(mei, "Signed Up", at=NOW + 3 * DAY, order="b")
    assert outcomes() == ["completed", "completed", "refused under_way", "refused once"]


# exits and goals: each fact against a walk that began at NOW and ends at NOW + 2 days


@pytest.mark.parametrize(
    ("at", "heard", "live_fact", "left", "marked"),
    [
        (NOW + HOUR, None, True, True, True),  # in time
        (NOW + HOUR, NOW + DAY, True, True, True),  # late: happened during the walk, heard of later
        (NOW - HOUR, NOW + HOUR, True, False, False),  # out of order: happened before the cause
        (NOW + HOUR, None, False, False, False),  # history that is filled in
        (NOW + 3 * DAY, None, True, False, True),  # after the end, within the goal's window
        (NOW + 20 * DAY, None, True, False, False),  # after the window
        (NOW + DAY, NOW + 3 * DAY, True, False, True),  # during the walk, heard of after its end
    ],
)
def test_leaving_and_reaching_the_goal(
    at: datetime, heard: datetime | None, live_fact: bool, left: bool, marked: bool
) -> None:
    campaign = make_campaign()
    make_goal(campaign, window_days=7)
    live(flow(WALK, exits=[{"fact": ORDER}], goal={"key": "first_order"}), campaign=campaign)
    mei = make_profile()
    state(mei, "Signed Up", at=NOW)
    if (heard or at) > NOW + 2 * DAY:
        advance(NOW + 2 * DAY)
    state(mei, ORDER, at=at, heard=heard, live=live_fact)
    advance(NOW + 30 * DAY)
    walk = Enrolment.objects.get()
    assert (walk.state, walk.converted_at) == ("exited" if left else "completed", at if marked else None)
    assert conserved()


@pytest.mark.parametrize(
    ("at", "heard", "live_fact", "port"),
    [
        (NOW + HOUR, None, True, "happened"),
        (NOW + HOUR, NOW + DAY, True, "happened"),  # late
        (NOW - HOUR, NOW + HOUR, True, "timeout"),  # happened before the cause
        (NOW + HOUR, None, False, "timeout"),  # history
        (NOW + 2 * DAY, NOW + 2 * DAY, True, "happened"),  # at the very time-out
    ],
)
def test_waiting_for_a_fact(at: datetime, heard: datetime | None, live_fact: bool, port: str) -> None:
    live(flow(HOPE))
    mei = make_profile()
    state(mei, "Signed Up", at=NOW)
    state(mei, ORDER, at=at, heard=heard, live=live_fact)
    advance(NOW + 2 * DAY)
    assert path(Enrolment.objects.get())[0] == ("w", port)


@pytest.mark.parametrize(
    ("at", "heard", "live_fact", "entries"),
    [
        (NOW, None, True, 1),
        (NOW - DAY, NOW, True, 1),  # late, within max_age
        (NOW - 3 * DAY, NOW, True, 0),  # too old
        (NOW, None, False, 0),  # history
    ],
)
def test_what_begins_a_walk(at: datetime, heard: datetime | None, live_fact: bool, entries: int) -> None:
    live(flow(WALK), now=NOW - 5 * DAY)
    state(make_profile(), "Signed Up", at=at, heard=heard, live=live_fact)
    assert Enrolment.objects.count() == entries


def test_a_fact_that_is_told_twice_acts_once() -> None:
    live(flow(WALK, entry={"reentry": "after_exit"}))
    mei = make_profile()
    state(mei, "Signed Up", at=NOW, source_key="m1")
    advance(NOW + 2 * DAY)
    state(mei, "Signed Up", at=NOW + 3 * DAY, source_key="m1")
    assert outcomes() == ["completed"]


def test_two_who_prove_to_be_one_walk_once_and_the_facts_of_both_count() -> None:
    live(flow(HOPE, entry={"reentry": "once"}))
    visitor, mei = make_profile(anonymous_id="v"), make_profile(user_id="mei")
    state(visitor, "Signed Up", at=NOW)
    state(mei, "Signed Up", at=NOW + HOUR)
    with transaction.atomic():
        merge_many([Pair(visitor.pk, mei.pk)], now=NOW + 2 * HOUR, actor="test", reason="alias")
    assert outcomes() == ["active", "exited merged"]
    state(mei, ORDER, at=NOW + 3 * HOUR)
    state(mei, "Signed Up", at=NOW + DAY)
    assert outcomes() == ["completed", "exited merged", "refused once"]
    assert path(Enrolment.objects.order_by("pk")[0])[0] == ("w", "happened")
    assert conserved()
