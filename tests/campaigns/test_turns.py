"""Fairness and bounds: journeys take turns, a batch each; and what a node does with those who fail at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import pytest

from campaigns.engine import advance
from campaigns.engine.claim import due_journeys
from campaigns.enrol import enrol
from campaigns.models import Enrolment, Journey, Visit
from campaigns.publish import pause
from campaigns.steps import Fail, Go, Place, Result, Step, Walker, steps
from campaigns.triggers import Entry
from common.params import Invalid, Params
from tests.campaigns.flows import DONE, conserved, flow, live, node, path
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
WAIT = {"w": node("wait", for_="10d"), "done": DONE}


def crowd(key: str, size: int, *, due: datetime) -> Journey:
    journey = live(flow(WAIT), key=key)
    enrol(journey, [Entry(make_profile().pk, "k", at=due) for _ in range(size)], now=NOW)
    return journey


def moved() -> dict[str, int]:
    keys = Journey.objects.values_list("key", flat=True)
    return {key: Enrolment.objects.filter(journey__key=key, visit__gt=0).count() for key in keys}


def test_a_journey_with_very_many_due_holds_up_no_other() -> None:
    """The crowd is due for days, the few only now; after one round of a batch each the few have all moved."""
    crowd("crowd", 90, due=NOW - timedelta(days=3))
    crowd("few", 4, due=NOW)
    crowd("some", 14, due=NOW)
    turns = iter([True, True, False])
    done = advance(NOW, batch=10, go_on=lambda: next(turns))
    assert moved() == {"crowd": 10, "few": 4, "some": 10}
    assert done.claimed == 24
    advance(NOW, batch=10)
    assert moved() == {"crowd": 90, "few": 4, "some": 14}


def test_a_round_that_is_cut_short_begins_elsewhere_next_time() -> None:
    keys = [crowd(f"j{n}", 6, due=NOW).pk for n in range(3)]
    firsts = {due_journeys(NOW + timedelta(seconds=n))[0] for n in range(3)}
    assert firsts == set(keys)
    for n in range(3):
        advance(NOW + timedelta(seconds=n), batch=5, go_on=lambda: False)
    assert moved() == {"j0": 5, "j1": 5, "j2": 5}


def test_a_paused_crowd_takes_no_turns() -> None:
    journey = crowd("crowd", 12, due=NOW - timedelta(days=1))
    crowd("few", 3, due=NOW)
    pause(journey, now=NOW)
    assert advance(NOW, batch=5).claimed == 3
    assert moved() == {"crowd": 0, "few": 3}


def test_what_fits_into_a_batch_is_moved_in_one(django_assert_max_num_queries) -> None:
    for n in range(4):
        crowd(f"j{n}", 2, due=NOW)
    with django_assert_max_num_queries(60):
        assert advance(NOW, batch=20).claimed == 8


# failures ---------------------------------------------------------------------------------------------------------


class Broken(Step[Params]):
    """Fails for everybody, for good or for now."""

    key: ClassVar[str] = "broken"
    Params = Params
    permanent: ClassVar[bool] = True

    def decide(self, group: Sequence[Walker], params: Params, place: Place, now: datetime) -> Mapping[int, Result]:
        return {walker.enrolment: Fail("cannot", permanent=self.permanent) for walker in group}

    def say(self, params: Params, language: str) -> str:
        return "?"


class Pathless(Broken):
    key: ClassVar[str] = "pathless"

    def ports(self, params: Params) -> Sequence[str]:
        return ("yes",)

    def decide(self, group: Sequence[Walker], params: Params, place: Place, now: datetime) -> Mapping[int, Result]:
        return {walker.enrolment: Go("yes") for walker in group}


@pytest.fixture
def broken() -> Iterator[type[Broken]]:
    Broken.permanent = True
    with steps.temporarily("broken", Broken()), steps.temporarily("pathless", Pathless()):
        yield Broken


def walk_of(policy: dict[str, object] | None) -> Enrolment:
    ways: dict[str, str] = {"next": "done"}
    if policy and policy["then"] == "branch":
        ways["error"] = "sorry"
    step = {**node("broken", ways), **({"failure": policy} if policy else {})}
    ends = {"done": DONE, "sorry": DONE} if "error" in ways else {"done": DONE}
    journey = live(flow({"b": step, **ends}))
    enrol(journey, [Entry(make_profile().pk, "k")], now=NOW)
    advance(NOW)
    return Enrolment.objects.get()


@pytest.mark.parametrize(
    ("policy", "state", "walked"),
    [
        (None, "parked", [("b", "")]),
        ({"then": "park"}, "parked", [("b", "")]),
        ({"then": "skip"}, "completed", [("b", "next"), ("done", "")]),
        ({"then": "branch"}, "completed", [("b", "error"), ("sorry", "")]),
    ],
)
def test_what_becomes_of_who_fails_for_good(broken, policy, state, walked) -> None:
    walk = walk_of(policy)
    assert (walk.state, path(walk)) == (state, walked)
    if state == "completed":
        assert Visit.objects.get(node="b").reason == "failed: cannot"
    assert conserved()


def test_how_often_it_is_tried_before_is_the_nodes_to_say(broken) -> None:
    broken.permanent = False
    walk = walk_of({"then": "skip", "tries": 2})
    assert (walk.state, walk.tries, walk.due_at) == ("active", 1, NOW + timedelta(minutes=1))
    advance(NOW + timedelta(minutes=1))
    assert path(walk) == [("b", "next"), ("done", "")]


def test_only_what_goes_on_can_be_skipped_and_an_error_needs_a_way(broken) -> None:
    with pytest.raises(Invalid, match="only a step with the port 'next' can be skipped"):
        live(flow({"p": {**node("pathless", {"yes": "done"}), "failure": {"then": "skip"}}, "done": DONE}))
    with pytest.raises(Invalid, match=r"nodes\.b\.next\.error: this port leads nowhere"):
        live(flow({"b": {**node("broken"), "failure": {"then": "branch"}}, "done": DONE}), key="b")
