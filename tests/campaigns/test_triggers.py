"""Triggers of time: slots in the zone that owns them, whole segments let in once, in pages that survive a kill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from campaigns import schedule as scheduling
from campaigns.engine import advance
from campaigns.models import Enrolment, Journey
from campaigns.publish import archive, pause, present_count, publish, resume, under_way
from campaigns.schedule import run_schedules
from campaigns.triggers import triggers
from common.models import Tick
from common.states import ForbiddenMove
from messaging.models import Delivery
from tests.campaigns.flows import DONE, flow, live, make_campaign, make_segment, make_template, node, republish
from tests.people import NOW, make_profile

DAY = timedelta(days=1)
SAMPLES = {
    "segment_entered": {"segment": "vip"},
    "fact": {"fact": "Signed Up", "filter": {"plan": "pro"}, "key": "order_id"},
    "segment_left": {"segment": "vip"},
    "date_trait": {"trait": "birthday", "offset": -7, "at": "09:00", "leap": "03-01", "segment": "vip"},
    "api": {"needs": ["order_id"], "key": "order_id"},
    "manual": {},
    "schedule": {"segment": "vip", "at": "10:00", "every": "week", "weekday": 5, "zone": "Europe/London"},
}


def test_every_trigger_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(triggers.keys())


@pytest.mark.parametrize("key", SAMPLES)
def test_every_trigger_speaks_both_languages_and_reads_its_own_parameters(key: str) -> None:
    trigger = triggers.get(key)
    params = trigger.Params.model_validate(SAMPLES[key])
    assert trigger.say(params, "en") != trigger.say(params, "zh-hans")
    assert trigger.Params.model_validate(params.model_dump(mode="json", by_alias=True, exclude_none=True)) == params


def slot(now: datetime, after: datetime | None = None, **params) -> datetime | None:
    trigger = triggers.get("schedule")
    return trigger.slot(trigger.Params(segment="vip", **params), after, now)


@pytest.mark.parametrize(
    ("params", "now", "expected"),
    [
        ({"at": "10:00", "on": "2026-03-02"}, "2026-03-02T09:59", None),
        ({"at": "10:00", "on": "2026-03-02"}, "2026-03-09T10:00", "2026-03-02T10:00"),
        ({"at": "10:00", "every": "day"}, "2026-03-02T09:59", "2026-03-01T10:00"),
        ({"at": "10:00", "every": "day", "zone": "Asia/Shanghai"}, "2026-03-02T02:00", "2026-03-02T02:00"),
        ({"at": "10:00", "every": "week", "weekday": 1}, "2026-03-08T23:00", "2026-03-02T10:00"),
        ({"at": "10:00", "every": "month", "day": 31}, "2026-03-02T12:00", "2026-02-28T10:00"),
        ({"at": "10:00", "every": "month", "day": 31}, "2026-05-01T00:00", "2026-04-30T10:00"),
        # the clocks of New York go forward on 8 March 2026 and back on 1 November
        ({"at": "02:30", "every": "day", "zone": "America/New_York"}, "2026-03-08T12:00", "2026-03-08T07:00"),
        ({"at": "01:30", "every": "day", "zone": "America/New_York"}, "2026-11-01T06:45", "2026-11-01T05:30"),
    ],
)
def test_the_latest_slot(params: dict, now: str, expected: str | None) -> None:
    found = slot(datetime.fromisoformat(now).replace(tzinfo=UTC), **params)
    assert found == (datetime.fromisoformat(expected).replace(tzinfo=UTC) if expected else None)


def test_a_slot_opens_once() -> None:
    at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert slot(at, at - DAY, at="10:00", every="day") == at
    assert slot(at, at, at="10:00", every="day") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "10:00"},
        {"at": "10:00", "on": "2026-03-02", "every": "day"},
        {"at": "10:00Z", "every": "day"},
        {"at": "10:00", "every": "day", "zone": "Mars"},
    ],
)
def test_wrong_schedules_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"either|zone"):
        triggers.get("schedule").Params(segment="vip", **wrong)


def scheduled(**params) -> dict:
    graph = flow({"s": node("send", template="news"), "done": DONE}, entry={"reentry": "after_exit"})
    graph["trigger"] = {"type": "schedule", "params": {"segment": "vip", "at": "10:00", "every": "day", **params}}
    return graph


@pytest.fixture
def audience() -> list:
    make_template("news", klass="marketing")
    people = [make_profile() for _ in range(7)]
    make_segment("vip", tuple(people))
    return people


@pytest.mark.django_db(transaction=True)
def test_a_broadcast_goes_to_the_members_once_a_slot(audience) -> None:
    live(scheduled())  # at Monday noon: today's slot is over
    assert run_schedules(NOW) == {"slots": 0, "entered": 0}
    at = NOW + timedelta(hours=22)
    assert run_schedules(at) == {"slots": 1, "entered": 7}
    assert run_schedules(at) == {"slots": 0, "entered": 0}
    advance(at)
    assert Delivery.objects.count() == 7
    assert set(Delivery.objects.values_list("expires_at", flat=True)) == {at + DAY}
    assert set(Enrolment.objects.values_list("entry_key", flat=True)) == {"slot:2026-03-03T10:00:00Z"}
    assert run_schedules(at + 5 * DAY) == {"slots": 1, "entered": 7}  # after an outage only the latest slot


@pytest.mark.django_db(transaction=True)
def test_a_killed_fill_goes_on_where_it_stopped(audience, monkeypatch) -> None:
    monkeypatch.setattr(scheduling, "PAGE", 3)
    live(scheduled())
    at = NOW + timedelta(hours=22)
    assert run_schedules(at, go_on=lambda: False) == {"slots": 1, "entered": 3}
    assert Tick.objects.get().finished_at is None
    assert run_schedules(at) == {"slots": 0, "entered": 4}
    tick = Tick.objects.get()
    assert (tick.finished_at, tick.result["entered"]) == (at, 7)


@pytest.mark.django_db(transaction=True)
def test_slots_of_a_pause_are_not_made_up_for(audience) -> None:
    journey = live(scheduled())
    pause(journey, now=NOW)
    assert run_schedules(NOW + 2 * DAY) == {"slots": 0, "entered": 0}
    resume(journey, now=NOW + 2 * DAY)
    assert run_schedules(NOW + 2 * DAY) == {"slots": 0, "entered": 0}
    assert run_schedules(NOW + 3 * DAY) == {"slots": 1, "entered": 7}


def by_segment() -> dict:
    graph = flow({"w": node("wait", for_="1d"), "done": DONE})
    graph["trigger"] = {"type": "segment_entered", "params": {"segment": "vip"}}
    return graph


@pytest.mark.django_db(transaction=True)
def test_those_present_enter_only_when_asked(audience, monkeypatch) -> None:
    monkeypatch.setattr(scheduling, "PAGE", 5)
    journey = live(by_segment())
    assert present_count(journey) == 7
    assert not Enrolment.objects.exists()
    publish(journey, now=NOW, enter_present=True)
    assert Enrolment.objects.count() == 5
    assert run_schedules(NOW) == {"slots": 0, "entered": 2}
    advance(NOW)
    assert [(one.version, one.node, one.people) for one in under_way(journey)] == [(1, "w", 7)]
    publish(journey, now=NOW + DAY, enter_present=True)
    run_schedules(NOW + DAY)
    assert Enrolment.objects.filter(state="refused", reason="under_way").count() == 7


@pytest.mark.django_db(transaction=True)
def test_an_unchanged_flow_makes_no_new_version_and_versions_are_frozen(audience) -> None:
    journey = live(by_segment())
    assert publish(journey, now=NOW).number == 1
    second = republish(journey, by_segment() | {"entry": {"per_day": 5}})
    assert (second.number, journey.versions.count()) == (2, 2)
    with pytest.raises(TypeError, match="frozen"):
        second.save()


@pytest.mark.django_db(transaction=True)
def test_forbidden_moves_are_refused() -> None:
    make_segment("vip")
    journey = Journey.objects.create(key="j", name="j", campaign=make_campaign(), draft=by_segment())
    for verb in (pause, resume):
        with pytest.raises(ForbiddenMove):
            verb(journey, now=NOW)
    publish(journey, now=NOW)
    with pytest.raises(ForbiddenMove):
        resume(journey, now=NOW)
    archive(journey, now=NOW)
    for verb in (pause, resume, archive, publish):
        with pytest.raises(ForbiddenMove):
            verb(journey, now=NOW)
