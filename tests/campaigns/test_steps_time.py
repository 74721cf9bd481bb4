"""Steps that wait for the clock: windows, days of the week, and days that are said of a person."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from campaigns.engine import advance
from campaigns.models import Enrolment
from campaigns.steps.time_window import TimeWindowParams, next_open
from campaigns.steps.wait import WaitParams
from segments.models import Profile
from segments.trait_dates import anniversary, day_of, next_anniversary
from tests.campaigns.flows import DONE, conserved, flow, live, node, path, react_all
from tests.people import NOW, make_fact, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
DATED = {"next": "yes", "missed": "no"}


def begin(*people: Profile, at: datetime = NOW) -> None:
    for one in people:
        make_fact(one, "Signed Up", at=at)
    react_all(at)
    advance(at)


def walk(person: Profile) -> Enrolment:
    return Enrolment.objects.get(profile=person)


@pytest.mark.parametrize(
    ("opens", "closes", "days", "at", "expected"),
    [
        ("09:00", "21:00", (1, 2, 3, 4, 5, 6, 7), "2026-03-02T12:00", "2026-03-02T12:00"),  # a Monday
        ("09:00", "21:00", (1, 2, 3, 4, 5, 6, 7), "2026-03-02T21:00", "2026-03-03T09:00"),
        ("09:00", "21:00", (1, 2, 3, 4, 5), "2026-03-06T21:00", "2026-03-09T09:00"),
        ("09:00", "21:00", (1,), "2026-03-02T08:59", "2026-03-02T09:00"),
        ("09:00", "21:00", (1,), "2026-03-02T22:00", "2026-03-09T09:00"),
        ("22:00", "06:00", (1,), "2026-03-03T05:59", "2026-03-03T05:59"),  # Monday's night
        ("22:00", "06:00", (1,), "2026-03-03T06:00", "2026-03-09T22:00"),
        ("00:00", "00:00", (2,), "2026-03-03T23:59", "2026-03-03T23:59"),  # a whole day
    ],
)
def test_when_a_window_next_opens(opens: str, closes: str, days: tuple[int, ...], at: str, expected: str) -> None:
    params = TimeWindowParams.model_validate({"from": opens, "to": closes, "days": list(days)})
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert next_open(moment, params, ZoneInfo("UTC")) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_window_opens_where_the_clocks_skip_its_hour() -> None:
    params = TimeWindowParams(opens=time(2, 30), closes=time(4))
    before = datetime(2026, 3, 8, 6, tzinfo=UTC)  # 01:00 in New York; at 02:00 the clocks show 03:00
    assert next_open(before, params, ZoneInfo("America/New_York")) == datetime(2026, 3, 8, 7, tzinfo=UTC)


def test_people_wait_for_the_window_where_they_live_and_again_when_woken_late(settings) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    live(flow({"w": node("time_window", from_="09:00", to_="18:00"), "done": DONE}))
    leeds, tokyo = make_profile(timezone="Europe/London"), make_profile(timezone="Asia/Tokyo")
    begin(leeds, tokyo)
    assert walk(leeds).state == "completed"
    assert walk(tokyo).due_at == datetime(2026, 3, 3, 0, tzinfo=UTC)
    late = datetime(2026, 3, 3, 9, tzinfo=UTC)  # 18:00 in Tokyo: the window has closed
    advance(late)
    assert (walk(tokyo).state, walk(tokyo).due_at) == ("active", datetime(2026, 3, 4, 0, tzinfo=UTC))
    advance(datetime(2026, 3, 4, 0, tzinfo=UTC))
    assert walk(tokyo).state == "completed"
    assert conserved()


@pytest.mark.parametrize(
    ("params", "due"),
    [
        ({"weekday": 1}, datetime(2026, 3, 9, tzinfo=UTC)),  # it is Monday noon
        ({"weekday": 1, "until": "13:00"}, datetime(2026, 3, 2, 13, tzinfo=UTC)),
        ({"weekday": 5, "until": "10:00"}, datetime(2026, 3, 6, 10, tzinfo=UTC)),
        ({"for_": "5d", "weekday": 5}, datetime(2026, 3, 13, tzinfo=UTC)),
    ],
)
def test_waiting_for_a_day_of_the_week(settings, params, due) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    live(flow({"w": node("wait", **params), "done": DONE}))
    mei = make_profile()
    begin(mei)
    assert walk(mei).due_at == due


@pytest.mark.parametrize(
    ("params", "traits", "due"),
    [
        ({"date": "renewal"}, {"renewal": "2026-04-01"}, datetime(2026, 4, 1, tzinfo=UTC)),
        ({"date": "renewal", "offset": -7, "until": "10:00"}, {"renewal": "2026-04-01"}, datetime(2026, 3, 25, 10, tzinfo=UTC)),
        ({"date": "renewal"}, {"renewal": "2026-04-01T22:00:00Z"}, datetime(2026, 4, 1, tzinfo=UTC)),
        ({"date": "renewal"}, {"renewal": "2026-03-01"}, None),  # has passed
        ({"date": "renewal"}, {"renewal": "soon"}, None),
        ({"date": "renewal"}, {}, None),
        ({"date": "joined", "yearly": True}, {"joined": "2020-03-02"}, datetime(2027, 3, 2, tzinfo=UTC)),  # noon is past
        ({"date": "joined", "yearly": True, "until": "18:00"}, {"joined": "2020-03-02"}, datetime(2026, 3, 2, 18, tzinfo=UTC)),
        ({"date": "joined", "yearly": True, "offset": 1}, {"joined": "2020-03-02"}, datetime(2026, 3, 3, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_waiting_for_a_day_that_is_said_of_a_person(settings, params, traits, due) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    live(flow({"w": node("wait", DATED, **params), "yes": DONE, "no": DONE}))
    mei = make_profile(traits=traits)
    begin(mei)
    if due is None:
        assert path(walk(mei)) == [("w", "missed"), ("no", "")]
        return
    assert walk(mei).due_at == due
    advance(due)
    assert path(walk(mei)) == [("w", "next"), ("yes", "")]


def test_a_birthday_is_a_column_and_a_day_that_moves_is_waited_for_anew(settings) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    live(flow({"w": node("wait", DATED, date="birthday", yearly=True), "yes": DONE, "no": DONE}))
    mei = make_profile(birthday=date(1990, 3, 10))
    begin(mei)
    assert walk(mei).due_at == datetime(2026, 3, 10, tzinfo=UTC)
    Profile.objects.filter(pk=mei.pk).update(birthday=date(1990, 3, 20))
    advance(datetime(2026, 3, 10, tzinfo=UTC))
    assert walk(mei).due_at == datetime(2026, 3, 20, tzinfo=UTC)
    advance(datetime(2026, 3, 20, tzinfo=UTC))
    assert path(walk(mei)) == [("w", "next"), ("yes", "")]


def test_the_29th_of_february_where_there_is_none() -> None:
    born = date(2000, 2, 29)
    assert anniversary(born, 2026) == date(2026, 2, 28)
    assert anniversary(born, 2026, leap="03-01") == date(2026, 3, 1)
    assert anniversary(born, 2028) == date(2028, 2, 29)
    assert next_anniversary(born, date(2026, 3, 1)) == date(2027, 2, 28)


def test_days_are_read_where_the_person_lives() -> None:
    late = "2026-04-01T23:30:00+00:00"
    assert day_of(late, ZoneInfo("Asia/Tokyo")) == date(2026, 4, 2)
    assert day_of(late, ZoneInfo("UTC")) == date(2026, 4, 1)
    assert day_of("2026-13-01", ZoneInfo("UTC")) is None
    assert day_of(20260401, ZoneInfo("UTC")) is None


@pytest.mark.parametrize("raw", [{}, {"weekday": 8}, {"weekday": 1, "date": "x"}, {"until": "09:00", "yearly": True}])
def test_waits_that_say_too_little_or_too_much(raw) -> None:
    with pytest.raises(ValidationError):
        WaitParams.model_validate(raw)


def test_a_loop_through_a_day_of_the_week_turns_once_a_week(settings) -> None:
    settings.WORKSPACE_ZONE = "UTC"
    ways = {"a": "again", "b": "again"}
    arms = [{"key": "a", "weight": 1}, {"key": "b", "weight": 1}]
    nodes = {
        "again": node("wait", "x", weekday=1, until="12:00"),
        "x": node("split", {**ways, "b": "done"}, arms=arms),
        "done": DONE,
    }
    live(flow(nodes))
    people = [make_profile() for _ in range(4)]
    begin(*people)
    assert {walk(one).due_at for one in people} == {NOW + timedelta(days=7)}
