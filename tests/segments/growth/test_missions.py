"""Missions: facts counted once per person and period, paid once on reaching the target."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.growth.ledger import balance
from segments.growth.mission_merging import Missions
from segments.growth.missions import count_shard, lapse_streaks, sentence
from segments.merge_pieces import Pair
from segments.models import Award, Badge, Event, Mission, MissionProgress, Profile, Source
from tests.segments.refresh.settled import settle_log

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PERIODS = ("ever", "day", "week", "month")
pytestmark = pytest.mark.django_db(transaction=True)


def a_person(timezone: str = "UTC") -> Profile:
    return Profile.objects.create(shard=2, bucket=1, first_seen_at=NOW, last_seen_at=NOW, timezone=timezone)


def days_in_a_row(person: Profile, *numbers: int, at: datetime = NOW) -> None:
    """Somebody does it on these days, counted from the one of `at`, each read on the day itself."""
    for number in numbers:
        moment = at + timedelta(days=number)
        happens(person, f"{person.pk}-{moment.isoformat()}", moment)
        count_shard(2, moment)


def happens(person: Profile, key: str, at: datetime = NOW, **given: object) -> None:
    source, _ = Source.objects.get_or_create(key="web", defaults={"name": "Web", "kind": "http"})
    with transaction.atomic():
        append_facts([NewFact(person.pk, 2, "Reviewed", at, key, source.pk, **given)], now=at)  # type: ignore[arg-type]
    settle_log()


def a_mission(**given: object) -> Mission:
    badge, _ = Badge.objects.get_or_create(key="critic", defaults={"name": "Critic", "name_zh": "评论家"})
    return Mission.objects.create(
        **({"key": "three", "name": "3 reviews", "fact": "Reviewed", "target": 3, "points": 30, "badge": badge} | given)
    )


def test_reaching_the_target_pays_points_and_badge_once() -> None:
    a_mission()
    mei = a_person()
    for key in "abcde":
        happens(mei, key)
        count_shard(2, NOW)
    assert MissionProgress.objects.get().count == 3
    assert balance(mei.pk, NOW).active == 30
    assert Award.objects.get().profile == mei
    assert Event.objects.get(name="@mission_completed").properties == {"mission": "three", "period": "", "times": 1}


def test_only_live_facts_that_pass_the_filter_count() -> None:
    a_mission(filter={"stars": 5}, target=1)
    mei = a_person()
    happens(mei, "old", live=False, properties={"stars": 5})
    happens(mei, "poor", properties={"stars": 1})
    count_shard(2, NOW)
    assert not MissionProgress.objects.exists()
    happens(mei, "good", properties={"stars": 5})
    count_shard(2, NOW)
    assert MissionProgress.objects.get().completed_at == NOW


def test_a_daily_mission_counts_days_of_the_persons_own_zone() -> None:
    a_mission(period="day", target=1)
    mei = a_person("Asia/Shanghai")
    happens(mei, "a", at=NOW)  # 20:00 on the 2nd in Shanghai
    happens(mei, "b", at=NOW + timedelta(hours=5))  # 01:00 on the 3rd
    count_shard(2, NOW)
    assert sorted(MissionProgress.objects.values_list("period", flat=True)) == ["2026-03-02", "2026-03-03"]
    assert balance(mei.pk, NOW).active == 60


def test_a_merge_counts_all_doubled_counters_in_a_constant_number_of_statements() -> None:
    def statements(missions: int) -> int:
        """What it takes to join two people who both are under way in so many missions."""
        Mission.objects.all().delete()
        names = [a_mission(key=f"m{n}", name=f"m{n}", target=9, period=PERIODS[n % 4]) for n in range(missions)]
        gone, into = a_person("Asia/Tokyo"), a_person("America/New_York")
        for person in (gone, into):
            for n in range(3):
                happens(person, f"{missions}-{person.pk}-{n}", at=NOW + timedelta(minutes=n))
        count_shard(2, NOW)
        with CaptureQueriesContext(connection) as queries, transaction.atomic():
            kept = Missions().merge([Pair(gone.pk, into.pk)], now=NOW)
        assert kept is not None
        assert len(kept[gone.pk]) == missions
        with transaction.atomic():
            Event.objects.filter(profile=gone).update(profile=into, origin=gone.pk)
            Missions().merge([Pair(gone.pk, into.pk)], now=NOW)
        assert set(MissionProgress.objects.filter(mission__in=names, profile=into).values_list("count", flat=True)) == {
            6
        }
        return len(queries)

    assert statements(4) == statements(12) <= 6


def counted(person: Profile) -> tuple[int, int]:
    """(progress, times completed)."""
    row = MissionProgress.objects.get(profile=person)
    return row.count, row.times


def test_different_days_count_once_each() -> None:
    a_mission(measure="days")
    mei = a_person()
    for key in "abc":
        happens(mei, key)
    days_in_a_row(mei, 1, 4)
    assert counted(mei) == (3, 1)
    assert balance(mei.pk, NOW + timedelta(days=5)).active == 30


def test_a_sum_adds_a_property_exactly_or_the_money() -> None:
    a_mission(measure="sum", how={"property": "pages"}, target=1)
    a_mission(key="money", name="Money", measure="sum", target=1000, points=7)
    mei = a_person()
    for key, pages, value in [("a", 0.1, 400), ("b", 0.2, None), ("c", "7", 599), ("d", True, -50), ("e", -3, 0)]:
        happens(mei, key, properties={"pages": pages}, value=value)
    count_shard(2, NOW)
    found = MissionProgress.objects.order_by("mission__key").values_list("mission__key", "kept", "count", "times")
    assert list(found) == [("money", "999", 999, 0), ("three", "0.3", 0, 0)]
    happens(mei, "f", properties={"pages": 0.7}, value=1)
    count_shard(2, NOW)
    assert balance(mei.pk, NOW).active == 37


def test_a_streak_counts_days_in_a_row_and_a_missed_day_begins_it_anew() -> None:
    a_mission(measure="streak", target=4)
    mei = a_person()
    days_in_a_row(mei, 0, 1, 2)
    assert counted(mei) == (3, 0)
    days_in_a_row(mei, 4)
    assert counted(mei) == (1, 0)
    days_in_a_row(mei, 5, 6, 7)
    assert counted(mei) == (4, 1)


def test_days_of_grace_are_forgiven_but_do_not_count() -> None:
    a_mission(measure="streak", how={"grace": 1}, target=4)
    mei, bo = a_person(), a_person()
    days_in_a_row(mei, 0, 1, 3, 4)  # four days within five
    days_in_a_row(bo, 0, 2, 4, 5)  # within six
    assert counted(mei) == (4, 1)
    assert counted(bo) == (3, 0)


def test_a_day_told_late_mends_the_streak_it_was_missing_from() -> None:
    a_mission(measure="streak", target=3)
    mei = a_person()
    days_in_a_row(mei, 0, 2)
    assert counted(mei) == (1, 0)
    happens(mei, "late", NOW + timedelta(days=1))
    count_shard(2, NOW + timedelta(days=2, hours=6))
    assert counted(mei) == (3, 1)


@pytest.mark.parametrize(("zone", "day"), [("America/New_York", datetime(2026, 3, 7, 4, 30, tzinfo=UTC)),
                                           ("Europe/Berlin", datetime(2026, 10, 24, 21, 30, tzinfo=UTC))])  # fmt: skip
def test_a_streak_does_not_notice_that_clocks_change(zone: str, day: datetime) -> None:
    """A day of 23 hours and one of 25: late in the evening where the person lives, whatever UTC says."""
    a_mission(measure="streak", target=4)
    mei = a_person(zone)
    wall = day.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    for number in range(4):
        moment = (wall + timedelta(days=number)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        happens(mei, f"d{number}", moment)
        count_shard(2, moment)
    assert counted(mei) == (4, 1)


def test_a_streak_lapses_when_the_day_is_over_where_the_person_lives() -> None:
    a_mission(measure="streak", how={"grace": 1}, target=5)
    mei = a_person("Asia/Shanghai")
    days_in_a_row(mei, 0, 1)  # 2 and 3 March, 20:00; the 4th may be missed, the 5th may not
    end = datetime(2026, 3, 5, 16, tzinfo=UTC)  # midnight in Shanghai
    assert MissionProgress.objects.get().lapses_at == end
    assert lapse_streaks(end - timedelta(seconds=1)) == 0
    assert counted(mei) == (2, 0)
    assert [lapse_streaks(end), lapse_streaks(end)] == [1, 0]
    assert counted(mei) == (0, 0)


def test_a_mission_may_be_repeated_and_pays_each_time_up_to_its_limit() -> None:
    a_mission(target=2, repeats=2)
    mei = a_person()
    for key in "abcdefg":
        happens(mei, key)
    count_shard(2, NOW)
    assert counted(mei) == (2, 2)
    assert balance(mei.pk, NOW).active == 60
    assert Award.objects.count() == 2
    times = Event.objects.filter(name="@mission_completed").order_by("pk").values_list("properties__times", flat=True)
    assert list(times) == [1, 2]


def test_a_streak_without_limit_uses_each_day_once() -> None:
    a_mission(measure="streak", target=2, repeats=None)
    mei = a_person()
    days_in_a_row(mei, 0, 1, 2, 3, 4)
    assert counted(mei) == (1, 2)
    assert balance(mei.pk, NOW + timedelta(days=4)).active == 60


def test_what_either_of_two_people_was_paid_for_is_not_paid_again_after_a_merge() -> None:
    a_mission()
    gone, into = a_person(), a_person()
    for person, keys in ((gone, "abc"), (into, "xy")):
        for key in keys:
            happens(person, key)
    count_shard(2, NOW)
    with transaction.atomic():
        Event.objects.filter(profile=gone).update(profile=into, origin=gone.pk)
        kept = Missions().merge([Pair(gone.pk, into.pk)], now=NOW)
    assert kept is not None
    assert counted(into) == (3, 1)
    happens(into, "z")
    count_shard(2, NOW)
    assert balance(into.pk, NOW).active == 0  # the thirty points lie with the other, whose wallet moves by itself
    Missions().restore(Pair(gone.pk, into.pk), kept[gone.pk], now=NOW)
    assert counted(into) == (2, 0)


def test_the_sentence_says_what_to_do_and_what_it_brings() -> None:
    mission = a_mission(measure="streak", how={"grace": 1}, target=7, repeats=None)
    assert sentence(mission, "en") == (
        "Do “Reviewed” 7 days in a row (missing one day is forgiven): earns 30 points and the badge “Critic”, each time."
    )
    assert sentence(mission, "zh-hans") == (
        "连续 7 天完成“Reviewed”（允许漏 1 天）：获得30 积分和徽章“评论家”，每次达成都有。"
    )
    week = Mission(fact="Order Completed", measure="sum", target=5000, period="week", points=10)
    assert sentence(week, "en") == "Reach 50.00 USD by “Order Completed” within a week: earns 10 points, once a period."
