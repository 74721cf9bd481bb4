"""Triggers of days: a calendar's rules, the same hour everywhere, birthdays and renewals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from campaigns.models import Enrolment
from campaigns.schedule import run_schedules
from campaigns.triggers.date_trait import DateTrait, DateTraitParams
from campaigns.triggers.schedule import Schedule, ScheduleParams
from segments.facts.names import SEGMENT_LEFT
from segments.models import Profile
from tests.campaigns.flows import DONE, flow, live, make_segment, react_all
from tests.people import NOW, make_fact, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slot(now: str, after: str = "", **params: object) -> datetime | None:
    return Schedule().slot(
        ScheduleParams.model_validate({"segment": "vip", **params}), at(after) if after else None, at(now)
    )


def by_clock(kind: str, **params: object) -> dict[str, object]:
    return {**flow({"done": DONE}), "trigger": {"type": kind, "params": params}}


@pytest.mark.parametrize(
    ("rule", "now", "expected"),
    [
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH", "2026-03-12T12:00", "2026-03-05T10:00"),  # the 10th is in the other week
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH", "2026-03-17T10:00", "2026-03-17T10:00"),
        ("FREQ=MONTHLY;BYDAY=-1FR", "2026-04-01T00:00", "2026-03-27T10:00"),
        ("FREQ=DAILY;COUNT=2", "2026-05-01T00:00", "2026-03-03T10:00"),
        ("FREQ=YEARLY", "2026-03-01T00:00", None),  # begins on the 2nd
    ],
)
def test_a_rule_of_the_calendar(rule: str, now: str, expected: str | None) -> None:
    found = slot(now, at="10:00", on="2026-03-02", rrule=rule, zone="UTC")
    assert found == (at(expected) if expected else None)


@pytest.mark.parametrize(
    "raw",
    [
        {"rrule": "FREQ=DAILY"},  # from when?
        {"on": "2026-03-02", "rrule": "FREQ=HOURLY"},
        {"on": "2026-03-02", "rrule": "FREQ=DAILY;BYHOUR=1,2"},
        {"on": "2026-03-02", "rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"},
        {"on": "2026-03-02", "rrule": "now and then"},
    ],
)
def test_rules_that_are_none(raw: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ScheduleParams.model_validate({"segment": "vip", "at": "10:00", **raw})


def test_the_same_hour_everywhere_begins_for_each_where_they_live(settings) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    zones = ("Pacific/Auckland", "Europe/London", "America/New_York", "")
    people = {name: make_profile(timezone=name) for name in zones}
    make_segment("vip", tuple(people.values()))
    live(by_clock("schedule", segment="vip", at="10:00", every="day", zone="recipient"), now=at("2026-03-02T12:00"))
    opens = at("2026-03-02T20:00")  # 10:00 on the 3rd, fourteen hours east of Greenwich
    run_schedules(opens - timedelta(seconds=1))
    assert set(Enrolment.objects.values_list("profile", flat=True)) == {people["America/New_York"].pk}  # the 2nd, still
    assert run_schedules(opens)["entered"] == 3  # not New York: it is under way
    due = dict(Enrolment.objects.exclude(state="refused").values_list("profile__timezone", "due_at"))
    assert due == {
        "Pacific/Auckland": at("2026-03-02T21:00"),
        "Europe/London": at("2026-03-03T10:00"),
        "America/New_York": at("2026-03-02T15:00"),
        "": at("2026-03-03T10:00"),
    }
    assert run_schedules(opens + timedelta(hours=20)) == {"slots": 0, "entered": 0}


def test_nobody_for_whom_the_hour_had_passed_when_the_journey_went_live_enters(settings) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    east, west = make_profile(timezone="Asia/Tokyo"), make_profile(timezone="America/Los_Angeles")
    make_segment("vip", (east, west))
    live(by_clock("schedule", segment="vip", at="10:00", on="2026-03-02", zone="recipient"), now=NOW)
    assert run_schedules(NOW)["entered"] == 1
    assert Enrolment.objects.get().profile == west


@pytest.mark.parametrize(
    ("params", "traits", "enters"),
    [
        ({"trait": "birthday"}, {"birthday": date(1990, 3, 3)}, True),
        ({"trait": "birthday"}, {"birthday": date(1990, 3, 4)}, False),
        ({"trait": "birthday", "offset": -7}, {"birthday": date(1990, 3, 10)}, True),
        ({"trait": "birthday", "offset": 5}, {"birthday": date(1990, 2, 26)}, True),
        ({"trait": "renewal", "yearly": False, "offset": -30}, {"traits": {"renewal": "2026-04-02"}}, True),
        ({"trait": "renewal", "yearly": False, "offset": -30}, {"traits": {"renewal": "2025-04-02"}}, False),
        ({"trait": "joined"}, {"traits": {"joined": "2020-03-02T23:30:00Z"}}, False),  # the 2nd in the workspace's zone
        ({"trait": "joined"}, {"traits": {"joined": "2020-03-02T23:30:00Z"}, "timezone": "Asia/Tokyo"}, True),
        ({"trait": "joined"}, {"traits": {"joined": "03-03"}}, False),
        ({"trait": "registered_at"}, {"registered_at": datetime(2021, 3, 3, 5, tzinfo=UTC)}, True),
        ({"trait": "birthday", "segment": "vip"}, {"birthday": date(1990, 3, 3)}, False),
    ],
)
def test_whose_day_it_is(settings, params: dict[str, object], traits: dict[str, object], enters: bool) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    make_segment("vip")
    make_profile(**traits)
    live(by_clock("date_trait", **params), now=at("2026-03-02T20:00"))
    assert run_schedules(at("2026-03-03T09:00")) == {"slots": 1, "entered": int(enters)}


def test_a_birthday_is_kept_once_a_year_however_often_the_hour_is_changed(settings) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    make_profile(birthday=date(1990, 3, 3))
    rules = {"reentry": "after_exit"}
    journey = live({**by_clock("date_trait", trait="birthday", zone="workspace"), "entry": rules}, now=NOW)
    assert run_schedules(at("2026-03-03T09:00"))["entered"] == 1
    walk = Enrolment.objects.get()
    assert (walk.entry_key, walk.context["event"]["properties"]["years"]) == ("date:2026-03-03", 36)
    Enrolment.objects.update(state="completed", ended_at=NOW, due_at=None)
    from tests.campaigns.flows import republish

    republish(journey, {**by_clock("date_trait", trait="birthday", zone="workspace", at="11:00"), "entry": rules})
    assert run_schedules(at("2026-03-03T11:00")) == {"slots": 1, "entered": 0}
    assert run_schedules(at("2027-03-03T11:00"))["entered"] == 1


@pytest.mark.parametrize(
    ("leap", "day", "enters"),
    [("02-28", "2026-02-28", True), ("02-28", "2026-03-01", False), ("03-01", "2026-03-01", True),
     ("03-01", "2026-02-28", False), ("02-28", "2028-02-29", True), ("02-28", "2028-02-28", False)],
)  # fmt: skip
def test_born_on_the_29th_of_february(settings, leap: str, day: str, enters: bool) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    mei = make_profile(birthday=date(2000, 2, 29))
    params = DateTraitParams(trait="birthday", leap=leap, zone="workspace")
    members, more = DateTrait().page(params, at(f"{day}T09:00"), 0, 10)
    assert ([one.profile for one in members], more) == ([mei.pk] if enters else [], None)


def test_pages_of_birthdays_hold_everybody_once() -> None:
    people = [make_profile(birthday=date(1990, 3, 3)) for _ in range(7)]
    seen: list[int] = []
    last: int | None = 0
    while last is not None:
        members, last = DateTrait().page(
            DateTraitParams(trait="birthday", zone="workspace"), at("2026-03-03T09:00"), last, 3
        )
        seen += [one.profile for one in members]
    assert seen == [one.pk for one in people]


def test_leaving_a_segment_begins_a_walk() -> None:
    make_segment("vip")
    live({**flow({"done": DONE}), "trigger": {"type": "segment_left", "params": {"segment": "vip"}}})
    mei, bo = make_profile(), make_profile()
    make_fact(mei, SEGMENT_LEFT, segment="vip")
    make_fact(bo, SEGMENT_LEFT, segment="other")
    react_all()
    assert list(Enrolment.objects.values_list("profile", flat=True)) == [mei.pk]
    assert Profile.objects.count() == 2


def test_a_large_segment_holds_up_no_small_one(monkeypatch) -> None:
    from campaigns import schedule as scheduling

    monkeypatch.setattr(scheduling, "PAGE", 5)
    make_segment("big", tuple(make_profile() for _ in range(30)))
    make_segment("small", tuple(make_profile() for _ in range(3)))
    for key in ("big", "small"):
        live(
            by_clock("schedule", segment=key, at="12:00", every="day", zone="UTC"),
            key=key,
            now=NOW - timedelta(seconds=1),
        )
    turns = iter([True, False])
    run_schedules(NOW, go_on=lambda: next(turns))
    assert {key: Enrolment.objects.filter(journey__key=key).count() for key in ("big", "small")} == {
        "big": 5,
        "small": 3,
    }
    assert run_schedules(NOW)["entered"] == 25
