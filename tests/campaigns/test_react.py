"""Facts act at once and in their order: they let in, wake, mark and end, wherever a walk stands."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction

from campaigns.engine import advance, tick
from campaigns.models import Enrolment, Visit
from campaigns.publish import archive, pause, resume
from campaigns.react import rounds
from common.models import Parked
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.facts.names import SEGMENT_ENTERED, SEGMENT_LEFT
from segments.models import Profile
from tests.campaigns.flows import (
    DONE,
    ORDER,
    conserved,
    flow,
    live,
    make_campaign,
    make_goal,
    make_segment,
    make_template,
    node,
    path,
    react_all,
    republish,
)
from tests.people import NOW, make_fact, make_order, make_profile, make_source

pytestmark = pytest.mark.django_db(transaction=True)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WAIT = {"w": node("wait", for_="10d"), "done": DONE}
FOR_ORDER = {
    "w": node("wait_for", {"happened": "yes", "timeout": "no"}, fact=ORDER, timeout="3d"),
    "yes": DONE,
    "no": DONE,
}


def states() -> list[tuple[str, str]]:
    return list(Enrolment.objects.order_by("profile", "id").values_list("state", "reason"))


def test_the_same_facts_read_again_change_nothing() -> None:
    from segments.models import Cursor

    live(flow(WAIT, entry={"reentry": "after_exit"}))
    make_fact(make_profile(), "Signed Up")
    react_all()
    Cursor.objects.all().delete()
    assert react_all() == 1
    assert Enrolment.objects.count() == 1


def test_only_live_recent_matching_facts_let_people_in() -> None:
    graph = flow(WAIT, entry={"max_age": "2d"})
    graph["trigger"]["params"]["filter"] = {"plan": ["pro", "team"], "address.city": "Leeds"}
    live(graph, now=NOW - 9 * DAY)
    good = {"plan": "pro", "address": {"city": "Leeds"}}
    mei = make_profile()
    make_fact(mei, "Signed Up", **good)
    make_fact(make_profile(), "Signed Up", live=False, **good)
    make_fact(make_profile(), "Signed Up", at=NOW - 2 * DAY - HOUR, **good)
    make_fact(make_profile(), "Signed Up", plan="free", address={"city": "Leeds"})
    make_fact(make_profile(), "Signed Up", plan="pro")
    make_fact(make_profile(), "Signed In", **good)
    react_all()
    assert [walk.profile for walk in Enrolment.objects.all()] == [mei]


def test_facts_from_before_the_journey_was_live_let_nobody_in() -> None:
    make_fact(make_profile(), "Signed Up", at=NOW - HOUR)
    live(flow(WAIT))
    react_all()
    assert not Enrolment.objects.exists()


def test_a_segment_lets_people_in_and_leaving_it_ends_the_walk_at_once() -> None:
    segment = make_segment("vip")
    graph = flow(WAIT, exits=[{"left_segment": "vip"}])
    graph["trigger"] = {"type": "segment_entered", "params": {"segment": "vip"}}
    live(graph)
    mei = make_profile()
    make_fact(mei, SEGMENT_ENTERED, segment=segment.key)
    make_fact(make_profile(), SEGMENT_ENTERED, segment="other")
    react_all()
    advance(NOW)
    assert states() == [("active", "")] or states()[0][0] == "active"
    make_fact(mei, SEGMENT_LEFT, segment="other", at=NOW + DAY)
    react_all(NOW + DAY)
    assert Enrolment.objects.get().state == "active"
    make_fact(mei, SEGMENT_LEFT, segment="vip", at=NOW + DAY)
    react_all(NOW + DAY)
    walk = Enrolment.objects.get()
    assert (walk.state, walk.reason, walk.ended_at, walk.due_at) == (
        "exited", "exit:@segment_left:vip", NOW + DAY, None,
    )  # fmt: skip
    visit = Visit.objects.get()
    assert (visit.left_at, visit.port, visit.reason) == (NOW + DAY, "", walk.reason)
    assert advance(NOW + 30 * DAY).claimed == 0
    assert conserved()


def test_an_exit_acts_whatever_the_step_also_on_the_parked() -> None:
    live(flow(FOR_ORDER, exits=[{"fact": "Refunded", "filter": {"kind": "full"}, "reason": "refunded"}]))
    mei, bo = make_profile(), make_profile()
    for one in (mei, bo):
        make_fact(one, "Signed Up")
    react_all()
    advance(NOW)
    Enrolment.objects.filter(profile=bo).update(state="parked", due_at=None)
    for one in (mei, bo):
        make_fact(one, "Refunded", kind="part")
    react_all()
    assert [state for state, _ in states()] == ["active", "parked"]
    for one in (mei, bo):
        make_fact(one, "Refunded", kind="full")
    react_all()
    assert states() == [("exited", "exit:refunded")] * 2
    assert conserved()


def test_a_goal_marks_and_ends_only_where_it_says_so() -> None:
    campaign = make_campaign()
    make_goal(campaign, window_days=5)
    marks = live(flow(WAIT, goal={"key": "first_order"}), key="marks", campaign=campaign)
    ends = live(flow(WAIT, goal={"key": "first_order", "ends": True}), key="ends", campaign=campaign)
    mei = make_profile()
    make_fact(mei, "Signed Up")
    react_all()
    advance(NOW)
    make_order(mei, at=NOW + DAY)
    make_order(mei, at=NOW + 2 * DAY)
    react_all(NOW + 2 * DAY)
    first, second = Enrolment.objects.get(journey=marks), Enrolment.objects.get(journey=ends)
    assert (first.state, first.converted_at) == ("active", NOW + DAY)
    assert (second.state, second.reason, second.converted_at) == ("exited", "goal:first_order", NOW + DAY)


def test_a_goal_marks_a_finished_walk_only_within_its_window() -> None:
    campaign = make_campaign()
    make_goal(campaign, window_days=5)
    live(flow({"done": DONE}, goal={"key": "first_order"}), campaign=campaign)
    mei, bo = make_profile(), make_profile()
    for one in (mei, bo):
        make_fact(one, "Signed Up")
    react_all()
    advance(NOW)
    make_order(mei, at=NOW + 5 * DAY)
    make_order(bo, at=NOW + 5 * DAY + HOUR)
    react_all(NOW + 5 * DAY + HOUR)
    assert Enrolment.objects.get(profile=mei).converted_at == NOW + 5 * DAY
    assert Enrolment.objects.get(profile=bo).converted_at is None


def test_facts_of_one_page_act_in_their_order() -> None:
    """In, out, in again: the second run is the one that goes on."""
    live(flow(WAIT, entry={"reentry": "after_exit"}, exits=[{"fact": "Left"}]))
    mei = make_profile()
    for name in ("Left", "Signed Up", "Left", "Signed Up", "Signed Up"):
        make_fact(mei, name)
    react_all()
    assert states() == [("exited", "exit:Left"), ("active", "fact:Signed Up"), ("refused", "under_way")]


def test_a_fact_that_ends_and_begins_does_both() -> None:
    live(flow(WAIT, fact=ORDER, entry={"reentry": "after_exit"}, exits=[{"fact": ORDER}]))
    mei = make_profile()
    make_order(mei)
    make_order(mei)
    react_all()
    assert states() == [("exited", f"exit:{ORDER}"), ("active", f"fact:{ORDER}")]


def test_rounds_hold_one_fact_per_person() -> None:
    class F:
        def __init__(self, profile: int, n: int) -> None:
            self.profile, self.n = profile, n

    facts = [F(1, 1), F(2, 2), F(1, 3), F(1, 4), F(2, 5)]
    assert [{p: f.n for p, f in one.items()} for one in rounds(facts)] == [{1: 1, 2: 2}, {1: 3, 2: 5}, {1: 4}]  # type: ignore[arg-type]


def test_a_fact_between_arrival_and_the_next_look_is_not_missed() -> None:
    """The order comes after the sign-up was read but before the engine moved: it counts as having happened."""
    live(flow(FOR_ORDER))
    mei = make_profile()
    make_fact(mei, "Signed Up")
    react_all()
    make_order(mei, at=NOW + timedelta(seconds=1))
    react_all(NOW + timedelta(seconds=1))
    advance(NOW + timedelta(seconds=2))
    assert path(Enrolment.objects.get()) == [("w", "happened"), ("yes", "")]


def test_what_began_the_walk_or_came_before_does_not_count() -> None:
    live(flow(FOR_ORDER, fact=ORDER, entry={"reentry": "after_exit"}))
    mei = make_profile()
    make_order(mei)  # begins it
    react_all()
    advance(NOW)
    assert path(Enrolment.objects.get()) == [("w", "")]
    make_order(mei, at=NOW + DAY)
    react_all(NOW + DAY)
    advance(NOW + DAY)
    assert path(Enrolment.objects.order_by("id")[0]) == [("w", "happened"), ("yes", "")]


def late_order(mei: Profile, *, occurred: datetime, heard: datetime) -> None:
    """An order of `occurred` that we hear of at `heard`."""
    fact = NewFact(mei.pk, mei.shard, ORDER, occurred, f"late-{occurred}", make_source().pk)
    with transaction.atomic():
        append_facts([fact], now=heard)


@pytest.mark.parametrize(("occurred", "counts"), [(NOW - timedelta(seconds=1), False), (NOW, True), (NOW + HOUR, True)])
def test_what_occurred_before_the_cause_is_no_effect_however_late_it_is_heard_of(
    occurred: datetime, counts: bool
) -> None:
    campaign = make_campaign()
    make_goal(campaign)
    exits = [{"fact": ORDER, "reason": "bought"}]
    live(flow(FOR_ORDER, goal={"key": "first_order"}), key="waits", campaign=campaign)
    live(flow(WAIT, exits=exits), key="exits", campaign=campaign)
    mei = make_profile()
    make_fact(mei, "Signed Up")
    react_all(NOW + HOUR)
    advance(NOW + HOUR)
    late_order(mei, occurred=occurred, heard=NOW + 2 * HOUR)
    react_all(NOW + 2 * HOUR)
    advance(NOW + 2 * HOUR)
    waits, exited = Enrolment.objects.order_by("journey__key", "id")[::-1]
    assert waits.since == NOW
    assert (waits.state, waits.converted_at) == (("completed", occurred) if counts else ("active", None))
    assert (exited.state, exited.reason) == (("exited", "exit:bought") if counts else ("active", ""))


def test_a_cause_dated_ahead_counts_from_its_arrival() -> None:
    live(flow(WAIT))
    mei = make_profile()
    fact = NewFact(mei.pk, mei.shard, "Signed Up", NOW + HOUR, "ahead", make_source().pk)
    with transaction.atomic():
        append_facts([fact], now=NOW)
    react_all()
    assert Enrolment.objects.get().since == NOW


def test_only_the_wanted_fact_wakes() -> None:
    nodes = {
        **FOR_ORDER,
        "w": node(
            "wait_for", {"happened": "yes", "timeout": "no"}, fact=ORDER, timeout="3d", filter={"currency": "EUR"}
        ),
    }
    live(flow(nodes))
    mei = make_profile()
    make_fact(mei, "Signed Up")
    react_all()
    advance(NOW)
    make_order(mei, at=NOW + DAY)
    react_all(NOW + DAY)
    assert advance(NOW + DAY).claimed == 0
    make_order(mei, at=NOW + 2 * DAY, currency="EUR")
    react_all(NOW + 2 * DAY)
    advance(NOW + 2 * DAY)
    walk = Enrolment.objects.get()
    assert (walk.state, walk.context["happened"]["properties"]["currency"]) == ("completed", "EUR")


def test_a_fact_that_nobody_has_read_yet_still_beats_the_time_out() -> None:
    live(flow(FOR_ORDER))
    mei = make_profile()
    make_fact(mei, "Signed Up")
    react_all()
    advance(NOW)
    make_order(mei, at=NOW + 3 * DAY - HOUR)
    advance(NOW + 3 * DAY)
    assert path(Enrolment.objects.get()) == [("w", "happened"), ("yes", "")]


def test_a_loop_counts_each_fact_once() -> None:
    """Wait for an order three times: two orders at one moment turn it twice, not thrice."""
    nodes = {"w": node("wait_for", {"happened": "w", "timeout": "no"}, fact=ORDER, timeout="3d"), "no": DONE}
    live(flow(nodes))
    mei = make_profile()
    make_fact(mei, "Signed Up")
    react_all()
    advance(NOW)
    make_order(mei, at=NOW + DAY)
    make_order(mei, at=NOW + DAY)
    react_all(NOW + DAY)
    advance(NOW + DAY)
    assert path(Enrolment.objects.get()) == [("w", "happened"), ("w", "happened"), ("w", "")]


def test_a_paused_journey_lets_nobody_in_or_on_but_out() -> None:
    journey = live(flow({"w": node("wait", for_="1d"), "done": DONE}, exits=[{"fact": "Left"}]))
    mei, bo = make_profile(), make_profile()
    for one in (mei, bo):
        make_fact(one, "Signed Up")
    react_all()
    advance(NOW)
    pause(journey, now=NOW)
    make_fact(make_profile(), "Signed Up")
    make_fact(mei, "Left")
    react_all()
    assert advance(NOW + 2 * DAY).claimed == 0
    assert [state for state, _ in states()] == ["exited", "active"]
    resume(journey, now=NOW + 2 * DAY)
    react_all(NOW + 2 * DAY)
    advance(NOW + 2 * DAY)
    assert [state for state, _ in states()] == ["exited", "completed"]


def test_archiving_ends_every_walk() -> None:
    journey = live(flow(WAIT))
    for _ in range(3):
        make_fact(make_profile(), "Signed Up")
    react_all()
    advance(NOW)
    assert archive(journey, now=NOW) == 3
    assert states() == [("exited", "archived")] * 3
    assert conserved()


def test_people_under_way_keep_their_version_and_its_exits() -> None:
    journey = live(flow(WAIT, exits=[{"fact": "Old"}]))
    mei, bo = make_profile(), make_profile()
    make_fact(mei, "Signed Up")
    react_all()
    republish(journey, flow({"done": DONE}, exits=[{"fact": "New"}]))
    make_fact(bo, "Signed Up")
    react_all()
    advance(NOW)
    assert list(Enrolment.objects.order_by("profile").values_list("version__number", "state")) == [
        (1, "active"),
        (2, "completed"),
    ]
    make_fact(mei, "New")
    react_all()
    assert Enrolment.objects.get(profile=mei).state == "active"
    make_fact(mei, "Old")
    react_all()
    assert Enrolment.objects.get(profile=mei).reason == "exit:Old"


def test_a_ring_of_journeys_is_cut() -> None:
    """A badge that begins the journey which awards it: five rounds, then the chain is refused."""
    from segments.models import Badge

    Badge.objects.create(key="star", name="Star")
    nodes = {"a": node("award", badge="star"), "done": DONE}
    live(flow(nodes, fact="@badge_awarded", entry={"reentry": "after_exit"}))
    make_fact(make_profile(), "@badge_awarded", badge="star")
    for _ in range(10):
        react_all()
        advance(NOW)
    assert [state for state, _ in states()] == ["completed"] * 6 + ["refused"]
    assert states()[-1] == ("refused", "depth")


def test_statements_do_not_grow_with_the_page(django_assert_max_num_queries) -> None:
    from campaigns.plans import watch
    from campaigns.react import react
    from segments.facts.read import read_facts
    from tests.segments.refresh.settled import settle_log

    live(flow(FOR_ORDER, exits=[{"fact": "Left"}]))
    counts = []
    for size in (2, 40):
        people = [make_profile(shard=3) for _ in range(size)]
        for one in people:
            make_fact(one, "Signed Up")
        react_all()
        advance(NOW)
        for one in people:
            make_fact(one, "Left" if one.pk % 2 else ORDER)
        seen = watch()
        settle_log()
        with transaction.atomic(), django_assert_max_num_queries(20) as counted:
            page = read_facts(f"test{size}", 3, names={"Left", ORDER})
            assert page is not None
            react(seen, [fact for fact in page.rows if fact.profile in {one.pk for one in people}], now=NOW)
        counts.append(len(counted))
    assert counts[1] <= counts[0]


@pytest.mark.postgres
def test_a_fact_committed_while_the_arrival_is_not_is_found() -> None:
    """F begins before the engine's transaction and commits within it; the reader passes F before the engine commits."""
    live(flow(FOR_ORDER))
    mei, source = make_profile(), make_source()
    make_fact(mei, "Signed Up")
    react_all()
    appended, ticked, committed = threading.Event(), threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def send() -> None:
        try:
            with transaction.atomic():
                append_facts(
                    [NewFact(mei.pk, mei.shard, ORDER, NOW, "late", source.pk)], now=NOW + timedelta(seconds=1)
                )
                appended.set()
                assert ticked.wait(10)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)
        finally:
            committed.set()
            connection.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert appended.wait(10)
    with transaction.atomic():
        assert tick(NOW).claimed == 1
        ticked.set()
        assert committed.wait(10)
        reader = threading.Thread(target=lambda: (react_all(NOW), connection.close()))
        reader.start()
        reader.join(40)
    thread.join()
    assert failures == []
    advance(NOW)
    assert path(Enrolment.objects.get()) == [("w", "happened"), ("yes", "")]


def test_a_fact_that_cannot_be_taken_in_is_parked_and_the_rest_goes_on(monkeypatch) -> None:
    live(flow(WAIT))
    bad, good = make_profile(shard=3), make_profile(shard=3)
    make_fact(bad, "Signed Up", poison=True)
    make_fact(good, "Signed Up")
    from campaigns.triggers.fact import FactTrigger

    real = FactTrigger.match

    def match(self, params, fact):
        if fact.properties.get("poison"):
            raise ValueError("poison")
        return real(self, params, fact)

    monkeypatch.setattr(FactTrigger, "match", match)
    for _ in range(4):
        react_all()
    assert [walk.profile for walk in Enrolment.objects.all()] == [good]
    assert Parked.objects.get(reader="react").reason == "ValueError: poison"


def test_messages_of_a_walk_that_was_left_are_cancelled_by_the_gate() -> None:
    from campaigns.gates.active import StillActive
    from messaging.models import Delivery

    make_template("hello")
    journey = live(flow({"s": node("send", "w", template="hello"), **WAIT}, exits=[{"fact": "Left"}]))
    mei = make_profile(email="mei@example.com")
    make_fact(mei, "Signed Up")
    react_all()
    advance(NOW)
    gate = StillActive()

    def ruling() -> tuple[str, str] | None:
        row = Delivery.objects.annotate(**gate.columns(NOW)).values().get()
        verdict = gate.judge(row, NOW, None)
        return (str(verdict.ruling), verdict.reason) if verdict else None

    assert ruling() is None
    pause(journey, now=NOW)
    assert ruling() == ("held", "journey_paused")
    make_fact(mei, "Left")
    react_all()
    assert ruling() == ("cancelled", "left:exit:Left")


def test_of_two_journeys_that_a_fact_begins_the_one_of_higher_priority_goes_first() -> None:
    """Its walk begins first, and its message is the one that a cap lets through (the gate sends by priority; 100 is of the class)."""
    from messaging.models import Delivery

    make_template("hello")
    send = {"s": node("send", template="hello", priority=2), "done": DONE}
    live(flow(send), key="low")
    live(flow(send, entry={"priority": 8}), key="high")
    make_fact(make_profile(), "Signed Up")
    react_all()
    advance(NOW)
    assert list(Enrolment.objects.order_by("pk").values_list("journey__key", flat=True)) == ["high", "low"]
    assert dict(Delivery.objects.values_list("journey", "priority")) == {"high": 109, "low": 102}
