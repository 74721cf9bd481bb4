"""Who may enter, how often, into which arm; replays and races; every refusal has its reason."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from campaigns.engine import advance
from campaigns.enrol import EnrolReport, NotLive, enrol
from campaigns.models import Assignment, Enrolment, Journey
from campaigns.publish import archive, pause
from campaigns.triggers import Entry
from segments.models import Profile
from tests.campaigns.flows import DONE, conserved, flow, live, make_campaign, make_template, node
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
WAIT = {"w": node("wait", for_="10d"), "done": DONE}


def enter(journey: Journey, person: Profile, key: str, *, now: datetime = NOW, **more) -> EnrolReport:
    return enrol(journey, [Entry(person.pk, key, **more)], now=now)


def refusals() -> list[str]:
    return list(Enrolment.objects.filter(state="refused").order_by("id").values_list("reason", flat=True))


def test_an_entry_key_counts_once() -> None:
    journey, mei = live(flow(WAIT, entry={"reentry": "after_exit"})), make_profile()
    first = enter(journey, mei, "k")
    assert (len(first.entered), first.known) == (1, 0)
    assert enter(journey, mei, "k") == EnrolReport(known=1)
    advance(NOW)
    advance(NOW + 10 * DAY)
    assert enter(journey, mei, "k", now=NOW + 11 * DAY) == EnrolReport(known=1)
    assert Enrolment.objects.count() == 1


@pytest.mark.parametrize(
    ("entry", "again_inside", "again_soon", "again_late"),
    [
        ({"reentry": "once"}, "under_way", "once", "once"),
        ({"reentry": "after_exit"}, "under_way", "", ""),
        ({"reentry": "cooldown", "cooldown": "30d"}, "under_way", "cooldown", ""),
    ],
)
def test_the_rules_of_coming_back(entry: dict, again_inside: str, again_soon: str, again_late: str) -> None:
    """Inside, one day after the end, and thirty days after it."""
    mei = make_profile()
    journey = live(flow(WAIT, entry=entry))
    enter(journey, mei, "1")
    enter(journey, mei, "2", now=NOW + DAY)
    advance(NOW)
    advance(NOW + 10 * DAY)
    enter(journey, mei, "3", now=NOW + 11 * DAY)
    advance(NOW + 11 * DAY)
    advance(NOW + 40 * DAY)
    enter(journey, mei, "4", now=NOW + 60 * DAY)
    found = dict(Enrolment.objects.exclude(entry_key="1").values_list("entry_key", "reason"))
    states = dict(Enrolment.objects.values_list("entry_key", "state"))
    assert found == {"2": again_inside, "3": again_soon, "4": again_late}
    assert {key for key, state in states.items() if state == "refused"} == {k for k, why in found.items() if why}
    assert conserved()


def test_the_cool_down_counts_from_the_end() -> None:
    mei = make_profile()
    journey = live(flow(WAIT, entry={"reentry": "cooldown", "cooldown": "30d"}))
    enter(journey, mei, "1")
    advance(NOW)
    advance(NOW + 10 * DAY)
    assert enter(journey, mei, "2", now=NOW + 40 * DAY - timedelta(seconds=1)).refused == {"cooldown": 1}
    assert len(enter(journey, mei, "3", now=NOW + 40 * DAY).entered) == 1


def test_keyed_runs_stand_side_by_side_and_each_key_runs_once() -> None:
    graph = flow(WAIT, entry={"reentry": "keyed"})
    graph["trigger"]["params"]["key"] = "order_id"
    journey, mei = live(graph), make_profile()
    assert len(enter(journey, mei, "1", run_key="A").entered) == 1
    assert len(enter(journey, mei, "2", run_key="B").entered) == 1
    assert enter(journey, mei, "3", run_key="A").refused == {"under_way": 1}
    advance(NOW)
    advance(NOW + 10 * DAY)
    assert enter(journey, mei, "4", run_key="A", now=NOW + 11 * DAY).refused == {"once": 1}


def test_leaving_and_coming_back_a_hundred_times_keeps_the_rules() -> None:
    mei = make_profile()
    once = live(flow(WAIT), key="one")
    for n in range(100):
        enter(once, mei, f"k{n}", now=NOW + n * timedelta(hours=1))
    assert Enrolment.objects.filter(state="active").count() == 1
    assert refusals() == ["under_way"] * 99


def test_two_entries_of_one_person_in_one_batch_are_judged_in_order() -> None:
    journey, mei = live(flow(WAIT, entry={"reentry": "after_exit"})), make_profile()
    report = enrol(journey, [Entry(mei.pk, "b"), Entry(mei.pk, "a"), Entry(mei.pk, "b")], now=NOW)
    assert (len(report.entered), report.refused, report.known) == (1, {"under_way": 1}, 0)
    assert Enrolment.objects.get(state="active").entry_key == "b"


def test_the_daily_cap_counts_the_workspaces_day(settings) -> None:
    settings.WORKSPACE_ZONE = "Asia/Shanghai"
    journey = live(flow(WAIT, entry={"per_day": 2}))
    people = [make_profile() for _ in range(5)]
    at = datetime(2026, 3, 2, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai
    report = enrol(journey, [Entry(one.pk, "x") for one in people[:3]], now=at)
    assert (len(report.entered), report.refused) == (2, {"per_day": 1})
    report = enrol(journey, [Entry(one.pk, "x") for one in people[3:]], now=at + timedelta(minutes=1))
    assert len(report.entered) == 2
    assert Enrolment.objects.get(state="refused").profile == people[2]


def test_blank_is_off_and_zero_is_none() -> None:
    closed = live(flow(WAIT, entry={"per_day": 0}))
    assert enter(closed, make_profile(), "x").refused == {"per_day": 1}


def test_a_chain_of_causes_is_cut() -> None:
    journey = live(flow(WAIT, entry={"reentry": "after_exit"}))
    assert len(enter(journey, make_profile(), "x", depth=5).entered) == 1
    assert enter(journey, make_profile(), "y", depth=6).refused == {"depth": 1}


def test_a_campaigns_window_is_kept() -> None:
    campaign = make_campaign(starts_at=NOW + DAY, ends_at=NOW + 2 * DAY)
    journey, mei = live(flow(WAIT), campaign=campaign), make_profile()
    assert enter(journey, mei, "1").refused == {"campaign_closed": 1}
    assert len(enter(journey, mei, "2", now=NOW + DAY).entered) == 1
    assert enter(journey, make_profile(), "3", now=NOW + 2 * DAY).refused == {"campaign_closed": 1}


def test_only_a_live_journey_takes_people_in() -> None:
    journey, mei = live(flow(WAIT)), make_profile()
    pause(journey, now=NOW)
    with pytest.raises(NotLive):
        enter(journey, mei, "1")
    archive(journey, now=NOW)
    with pytest.raises(NotLive):
        enter(journey, mei, "1")
    draft = Journey.objects.create(key="draft", name="d", campaign=make_campaign(), draft=flow(WAIT))
    with pytest.raises(NotLive):
        enter(draft, mei, "1")
    assert not Enrolment.objects.exists()


def test_the_erased_and_the_merged_do_not_enter() -> None:
    journey = live(flow(WAIT))
    gone, into = make_profile(), make_profile()
    Profile.objects.filter(pk=gone.pk).update(merged_into=into)
    erased = make_profile(erased_at=NOW)
    report = enrol(journey, [Entry(gone.pk, "a"), Entry(erased.pk, "b")], now=NOW)
    assert report.entered == []
    assert not Enrolment.objects.exists()


def held_out_journey(share: float, **fields) -> Journey:
    return live(flow(WAIT, entry={"reentry": "after_exit"}), holdout=share, **fields)


def test_the_holdout_is_drawn_by_the_hash_and_stored() -> None:
    journey = held_out_journey(0.3)
    people = [make_profile() for _ in range(200)]
    report = enrol(journey, [Entry(one.pk, "x") for one in people], now=NOW)
    ghosts = set(Enrolment.objects.filter(ghost=True).values_list("profile_id", flat=True))
    assert report.ghosts == len(ghosts)
    assert 35 <= len(ghosts) <= 85
    drawn = Assignment.objects.filter(experiment=journey.experiment, arm__control=True)
    assert set(drawn.values_list("profile_id", flat=True)) == ghosts
    assert Assignment.objects.count() == 200
    assert set(Enrolment.objects.filter(ghost=True).values_list("arm", flat=True)) == {"control"}


def test_a_draw_stands_also_when_the_share_changes() -> None:
    journey = held_out_journey(0.2)
    people = [make_profile() for _ in range(150)]
    enrol(journey, [Entry(one.pk, "x") for one in people], now=NOW)
    before = set(Enrolment.objects.filter(ghost=True).values_list("profile_id", flat=True))
    first = journey.experiment
    from campaigns.publish import publish

    journey.holdout = 0.4
    journey.save()
    publish(journey, now=NOW + DAY)
    journey.refresh_from_db()
    assert journey.experiment != first
    first.refresh_from_db()
    assert first.ended_at == NOW + DAY
    advance(NOW)
    advance(NOW + 10 * DAY)
    enrol(journey, [Entry(one.pk, "y") for one in people], now=NOW + 11 * DAY)
    later = set(Enrolment.objects.filter(ghost=True, entry_key="y").values_list("profile_id", flat=True))
    assert before < later  # a larger holdout keeps everybody who was in the smaller one


def test_the_universal_holdout_holds_out_of_marketing_only() -> None:
    from campaigns.models import Arm, Experiment

    everywhere = Experiment.objects.create(key="u", name="U", kind="universal", salt="u", started_at=NOW)
    Arm.objects.create(experiment=everywhere, key="control", position=0, weight=1, control=True)
    make_template("ad", klass="marketing")
    make_template("help", klass="lifecycle")
    ads = live(flow({"s": node("send", template="ad"), "done": DONE}), key="ads")
    aid = live(flow({"s": node("send", template="help"), "done": DONE}), key="aid")
    mei = make_profile()
    enter(ads, mei, "1")
    enter(aid, mei, "1")
    assert Enrolment.objects.get(journey=ads).arm == "universal"
    assert Enrolment.objects.get(journey=ads).ghost
    assert not Enrolment.objects.get(journey=aid).ghost


def test_statements_do_not_grow_with_the_batch(django_assert_max_num_queries) -> None:
    journey = held_out_journey(0.5)
    people = [make_profile() for _ in range(40)]
    counts = []
    for some in (people[:2], people[2:]):
        with django_assert_max_num_queries(20) as seen:
            enrol(journey, [Entry(one.pk, "x") for one in some], now=NOW)
        counts.append(len([q for q in seen.captured_queries if not q["sql"].startswith("UPDATE campaigns_journey")]))
    assert counts[1] <= counts[0]


@pytest.mark.postgres
def test_fifty_at_once_with_the_same_fact_make_one_enrolment() -> None:
    journey, mei = live(flow(WAIT)), make_profile()
    barrier, failures = threading.Barrier(50), []

    def run(n: int) -> None:
        try:
            barrier.wait()
            enter(journey, mei, "fact:1" if n % 2 else f"fact:{n}")
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert Enrolment.objects.filter(state="active").count() == 1
    assert set(refusals()) <= {"under_way"}
    assert Enrolment.objects.count() == 26


def test_no_more_than_so_many_are_under_way_at_once() -> None:
    journey = live(flow({"w": node("wait", for_="1d"), "done": DONE}, entry={"in_flight": 2, "reentry": "after_exit"}))
    people = [make_profile() for _ in range(3)]
    first = enrol(journey, [Entry(one.pk, "a") for one in people], now=NOW)
    assert (len(first.entered), first.refused) == (2, {"in_flight": 1})
    advance(NOW)
    advance(NOW + timedelta(days=1))
    again = enrol(journey, [Entry(people[2].pk, "b")], now=NOW + timedelta(days=1))
    assert (len(again.entered), again.refused) == (1, {})
