"""Missions: facts counted once per person and period, paid once on reaching the target."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.growth.ledger import balance
from segments.growth.mission_merging import Missions
from segments.growth.missions import count_shard
from segments.merge_pieces import Pair
from segments.models import Award, Badge, Event, Mission, MissionProgress, Profile, Source
from tests.segments.refresh.settled import settle_log

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PERIODS = ("ever", "day", "week", "month")
pytestmark = pytest.mark.django_db(transaction=True)


def a_person(timezone: str = "UTC") -> Profile:
    return Profile.objects.create(shard=2, bucket=1, first_seen_at=NOW, last_seen_at=NOW, timezone=timezone)


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
    assert Event.objects.get(name="@mission_completed").properties == {"mission": "three", "period": ""}


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
