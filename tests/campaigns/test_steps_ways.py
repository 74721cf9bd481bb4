"""Steps that choose a way: holdouts, goals, what happens first, and jumps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from campaigns.checking import check
from campaigns.engine import advance
from campaigns.models import Enrolment, Visit
from campaigns.steps.wait_for import WaitForParams
from common.params import Invalid
from messaging.fallback import fall_back
from messaging.models import Delivery
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.facts.names import SEGMENT_ENTERED
from segments.models import Profile
from tests.campaigns.flows import (
    DONE,
    ORDER,
    conserved,
    flow,
    live,
    make_campaign,
    make_goal,
    make_template,
    node,
    path,
    react_all,
)
from tests.people import NOW, make_fact, make_profile, make_source

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
FIRST = {
    "branches": [
        {"name": "bought", "fact": ORDER, "filter": {"plan": "pro"}},
        {"name": "asked", "fact": "Asked"},
        {"name": "slipped", "entered_segment": "slipping"},
    ],
    "timeout": "3d",
}
WAYS = {"bought": "a", "asked": "b", "slipped": "c", "timeout": "d"}
RACE = {"w": node("wait_for", WAYS, **FIRST), "a": DONE, "b": DONE, "c": DONE, "d": DONE}


def begin(*people: Profile) -> None:
    for one in people:
        make_fact(one, "Signed Up")
    react_all()
    advance(NOW)


def walk(person: Profile) -> Enrolment:
    return Enrolment.objects.get(profile=person)


def port(person: Profile, at: str = "w") -> str:
    return Visit.objects.get(enrolment=walk(person), node=at).port


def test_what_happens_first_decides_and_each_has_its_way() -> None:
    live(flow(RACE))
    mei, bo, vip, gone = (make_profile() for _ in range(4))
    begin(mei, bo, vip, gone)
    assert {row.awaiting for row in Enrolment.objects.all()} == {f"{SEGMENT_ENTERED}|Asked|{ORDER}"}
    make_fact(mei, ORDER, at=NOW + DAY, plan="free")  # not the one awaited
    make_fact(mei, "Asked", at=NOW + DAY)
    make_fact(mei, ORDER, at=NOW + DAY, plan="pro")
    make_fact(bo, ORDER, at=NOW + DAY, plan="pro")
    make_fact(vip, SEGMENT_ENTERED, at=NOW + DAY, segment="slipping")
    react_all(NOW + DAY)
    advance(NOW + DAY)
    advance(NOW + 3 * DAY)
    assert [port(one) for one in (mei, bo, vip, gone)] == ["asked", "bought", "slipped", "timeout"]
    assert conserved()


def test_a_fact_committed_before_the_time_out_is_run_wins_over_it() -> None:
    """The reader of facts lags: the engine asks the log itself at the time-out."""
    live(flow(RACE))
    mei = make_profile()
    begin(mei)
    make_fact(mei, "Asked", at=NOW + DAY)
    advance(NOW + 3 * DAY)
    assert port(mei) == "asked"


def test_the_order_of_the_log_decides_not_what_the_facts_say_of_their_time() -> None:
    live(flow(RACE))
    mei = make_profile()
    begin(mei)
    source = make_source().pk
    for n, (name, hours) in enumerate((("Asked", 20), (ORDER, 2))):
        fact = NewFact(
            mei.pk, mei.shard, name, NOW + timedelta(hours=hours), f"late{n}", source, properties={"plan": "pro"}
        )
        append_facts([fact], now=NOW + DAY)
    react_all(NOW + DAY)
    advance(NOW + DAY)
    assert port(mei) == "asked"


@pytest.mark.parametrize(
    "raw",
    [
        {"timeout": "1d"},
        {"fact": "A", "branches": FIRST["branches"], "timeout": "1d"},
        {"branches": [{"name": "timeout", "fact": "A"}], "timeout": "1d"},
        {"branches": [{"name": "a", "fact": "A"}, {"name": "a", "fact": "B"}], "timeout": "1d"},
        {"branches": [{"name": "a", "fact": "A", "left_segment": "x"}], "timeout": "1d"},
    ],
)
def test_waits_for_facts_that_are_not_clear(raw) -> None:
    with pytest.raises(ValidationError):
        WaitForParams.model_validate(raw)


def test_a_holdout_is_drawn_once_and_a_larger_one_keeps_those_of_the_smaller() -> None:
    people = [make_profile() for _ in range(60)]
    held = []
    for key, share in (("one", 0.2), ("two", 0.5)):
        nodes = {
            "h": node("holdout", {"next": "in", "held_out": "out"}, share=share, salt="test"),
            "in": DONE,
            "out": DONE,
        }
        live(flow(nodes, fact=key), key=key)
        for one in people:
            make_fact(one, key)
        react_all()
        advance(NOW)
        rows = Visit.objects.filter(node="h", port="held_out", enrolment__journey__key=key)
        held.append(set(rows.values_list("enrolment__profile", flat=True)))
    assert 0 < len(held[0]) < len(held[1]) < 60
    assert held[0] < held[1]


def test_the_goal_is_reached_by_the_mark_or_by_a_fact_that_nobody_has_read_yet() -> None:
    campaign = make_campaign()
    make_goal(campaign)
    ways = {"reached": "yes", "not_reached": "no"}
    nodes = {"w": node("wait", "g", for_="1d"), "g": node("goal_check", ways), "yes": DONE, "no": DONE}
    live(flow(nodes, goal={"key": "first_order"}), campaign=campaign)
    mei, bo, late, before = (make_profile() for _ in range(4))
    make_fact(before, ORDER, at=NOW - DAY)
    begin(mei, bo, late, before)
    make_fact(mei, ORDER, at=NOW + DAY / 2)
    react_all(NOW + DAY / 2)
    make_fact(late, ORDER, at=NOW + DAY)
    advance(NOW + DAY)
    assert [port(one, "g") for one in (mei, bo, late, before)] == ["reached", "not_reached", "reached", "not_reached"]


def test_a_goal_check_without_a_goal_parks_with_the_reason() -> None:
    ways = {"reached": "done", "not_reached": "done"}
    live(flow({"g": node("goal_check", ways), "done": DONE}))
    mei = make_profile()
    begin(mei)
    assert (walk(mei).state, walk(mei).reason) == ("parked", "the journey has no goal")


def test_a_jump_leads_back_and_the_loop_still_has_to_wait() -> None:
    nodes = {
        "w": node("wait", "j", for_="1d"),
        "j": node("jump", "x"),
        "x": node("holdout", {"next": "w", "held_out": "done"}, share=0.5),
        "done": DONE,
    }
    live(flow(nodes))
    bare = {
        "j": node("jump", "x"),
        "x": node("holdout", {"next": "j", "held_out": "done"}, share=0.5),
        "done": DONE,
    }
    with pytest.raises(Invalid, match="a loop without a wait"):
        live(flow(bare), key="bare")
    mei = make_profile()
    begin(mei)
    advance(NOW + DAY)
    assert [name for name, _ in path(walk(mei))][:3] == ["w", "j", "x"]


def test_a_message_tries_its_other_channels_in_order() -> None:
    for key, channel in (("mail", "email"), ("text", "sms"), ("hook", "webhook")):
        make_template(key, channel=channel)
    live(flow({"s": node("send", template="mail", fallback=["text", "hook"]), "done": DONE}))
    mei = make_profile(email="mei@example.com")
    begin(mei)
    first = Delivery.objects.get()
    assert (first.channel, first.dedupe_key) == ("email", f"j:{walk(mei).pk}:s:1:deliver")
    Delivery.objects.update(state="skipped", reason="no_address", settled_at=NOW)
    assert fall_back(NOW)["planned"] == 1
    assert list(Delivery.objects.order_by("pk").values_list("channel", "node")) == [("email", "s"), ("sms", "s")]


def test_ways_of_one_message_are_of_one_class_and_of_different_channels() -> None:
    make_template("mail")
    make_template("ad", klass="marketing", channel="sms")
    make_template("mail2")
    make_template("gone")
    for fallback, said in (
        (["ad"], "one message class"),
        (["mail2"], "another channel"),
        (["nope"], "no published version"),
    ):
        graph = flow({"s": node("send", template="mail", fallback=fallback), "done": DONE})
        journey = make_campaign().journeys.create(key=fallback[0], name="j", draft=graph)
        with pytest.raises(Invalid, match=said):
            check(journey)
