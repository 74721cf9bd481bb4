"""Steps that change what is known of people: traits, lists, other journeys; nothing of it for the held out."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from campaigns.engine import advance
from campaigns.enrol import enrol
from campaigns.models import Enrolment, Visit
from campaigns.publish import pause
from campaigns.steps.update_traits import UpdateParams
from campaigns.triggers import Entry
from segments.facts.names import CORRECTED, LIST_ADDED
from segments.lists import add_people
from segments.models import Event, Profile
from segments.models.groups import StaticList
from tests.campaigns.flows import DONE, conserved, flow, live, node, path, react_all
from tests.people import NOW, make_fact, make_profile

pytestmark = pytest.mark.django_db(transaction=True)


def begin(*people: Profile, **properties: object) -> None:
    for one in people:
        make_fact(one, "Signed Up", **properties)
    react_all()
    advance(NOW)


def test_traits_are_set_copied_and_forgotten_and_told_once() -> None:
    params = {
        "set": {"tier": "gold", "city": "Leeds"},
        "copy": {"plan": "event.properties.plan", "none": "event.x"},
        "forget": ["old"],
    }
    live(flow({"u": node("update_traits", **params), "done": DONE}))
    mei = make_profile(traits={"old": 1, "kept": 2})
    begin(mei, plan="pro")
    mei.refresh_from_db()
    assert mei.traits == {"kept": 2, "tier": "gold", "plan": "pro"}
    assert (mei.city, mei.last_seen_at) == ("Leeds", NOW)
    fact = Event.objects.get(name=CORRECTED)
    walk = Enrolment.objects.get()
    assert fact.key == f"traits:j:{walk.pk}:u:1:traits"
    assert fact.properties == {"traits": ["city", "old", "plan", "tier"], "by": "journey:welcome:u"}
    assert fact.depth == 1


def test_traits_that_are_so_already_are_no_news() -> None:
    live(flow({"u": node("update_traits", set={"tier": "gold"}), "done": DONE}))
    begin(make_profile(traits={"tier": "gold"}))
    assert not Event.objects.filter(name=CORRECTED).exists()
    assert Enrolment.objects.get().state == "completed"


@pytest.mark.parametrize(
    "raw",
    [{}, {"set": {"email": "x"}}, {"set": {"a": 1}, "forget": ["a"]}, {"set": {"@a": 1}}, {"set": {"a": "x" * 1001}}],
)
def test_traits_that_no_journey_may_change(raw) -> None:
    with pytest.raises(ValidationError):
        UpdateParams.model_validate(raw)


def test_lists_are_changed_and_the_facts_are_one_deeper() -> None:
    ours = StaticList.objects.create(key="ours", name="Ours")
    theirs = StaticList.objects.create(key="theirs", name="Theirs")
    live(flow({"a": node("list_add", "r", list="ours"), "r": node("list_remove", list="theirs"), "done": DONE}))
    mei, bo = make_profile(), make_profile()
    add_people(theirs, [mei.pk], now=NOW)
    begin(mei, bo)
    assert set(ours.members.values_list("profile", flat=True)) == {mei.pk, bo.pk}
    assert not theirs.members.exists()
    assert set(Event.objects.filter(name=LIST_ADDED, properties__list="ours").values_list("depth", flat=True)) == {1}


def test_a_list_that_is_gone_parks() -> None:
    gone = StaticList.objects.create(key="gone", name="Gone")
    live(flow({"a": node("list_add", list="gone"), "done": DONE}))
    gone.delete()
    begin(make_profile())
    walk = Enrolment.objects.get()
    assert (walk.state, walk.reason) == ("parked", "CannotDo: there is no list 'gone'")


def test_another_journey_is_entered_once_with_the_variables_and_by_its_own_rules() -> None:
    other = live(flow({"w": node("wait", for_="1d"), "done": DONE}, fact="Never"), key="other")
    live(flow({"e": node("enter_journey", journey="other"), "done": DONE}, entry={"reentry": "after_exit"}))
    mei = make_profile()
    begin(mei, plan="pro")
    first, walk = Enrolment.objects.get(journey=other), Enrolment.objects.exclude(journey=other).get()
    assert first.context["event"]["properties"] == {"plan": "pro"}
    assert (first.depth, first.entry_key, first.state) == (1, f"j:{walk.pk}:e:1:enter", "active")
    begin(mei)
    assert list(Enrolment.objects.filter(journey=other).order_by("pk").values_list("state", "reason")) == [
        ("active", ""),
        ("refused", "under_way"),
    ]
    assert list(Visit.objects.filter(node="e").order_by("pk").values_list("reason", flat=True)) == [
        "",
        "shut_out: under_way",
    ]
    assert conserved()


def test_a_journey_that_takes_nobody_in_holds_nobody_up() -> None:
    other = live(flow({"done": DONE}, fact="Never"), key="other")
    live(flow({"e": node("enter_journey", journey="other"), "done": DONE}))
    pause(other, now=NOW)
    begin(make_profile())
    walk = Enrolment.objects.get()
    assert path(walk) == [("e", "next"), ("done", "")]
    assert Visit.objects.get(node="e").reason == "journey 'other' takes nobody in"


def test_the_held_out_keep_their_traits_lists_and_journeys() -> None:
    ours = StaticList.objects.create(key="ours", name="Ours")
    live(flow({"done": DONE}, fact="Never"), key="other")
    nodes = {
        "u": node("update_traits", "a", set={"tier": "gold"}),
        "a": node("list_add", "e", list="ours"),
        "e": node("enter_journey", journey="other"),
        "done": DONE,
    }
    live(flow(nodes), holdout=1.0)
    mei = make_profile()
    begin(mei)
    mei.refresh_from_db()
    assert (mei.traits, ours.members.count(), Enrolment.objects.count()) == ({}, 0, 1)
    assert set(Visit.objects.exclude(node="done").values_list("reason", flat=True)) == {"held out: not executed"}


def test_statements_of_these_steps_do_not_grow_with_the_group(django_assert_max_num_queries) -> None:
    StaticList.objects.create(key="ours", name="Ours")
    live(flow({"w": node("wait", for_="1d"), "done": DONE}, fact="Never"), key="other")
    nodes = {
        "u": node("update_traits", "a", set={"tier": "gold"}),
        "a": node("list_add", "d", list="ours"),
        "d": node("wait", {"next": "e", "missed": "e"}, date="renewal"),
        "e": node("enter_journey", "t", journey="other"),
        "t": node("time_window", from_="00:00", to_="00:00"),
        "done": DONE,
    }
    journey = live(flow(nodes))
    counts = []
    for size in (3, 60):
        enrol(journey, [Entry(make_profile().pk, "k") for _ in range(size)], now=NOW)
        with django_assert_max_num_queries(90) as seen:
            assert advance(NOW, batch=500).ended == size
        counts.append(len(seen))
    assert counts[1] <= counts[0]
