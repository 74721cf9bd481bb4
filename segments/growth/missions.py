"""Missions: facts counted per person and period; reaching the target pays points and a badge, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from common.periods import zone
from segments.facts.append import append_engine_facts
from segments.facts.fact import Fact
from segments.facts.filter import passes
from segments.facts.names import MISSION_COMPLETED
from segments.facts.read import process_shard
from segments.growth.badges import BadgeFor, award_many
from segments.growth.ledger import Earn, earn_many
from segments.models import Event, Mission, MissionProgress, Profile

READER = "missions"
MAX_AGE = timedelta(days=2)  # what is older when it is read counts for nothing: missions look ahead
Place = tuple[int, int, str]  # mission, profile, period


def count_shard(shard: int, now: datetime) -> int:
    """Count one page of one shard's facts towards the active missions; returns how many facts it read."""
    missions = list(Mission.objects.filter(active=True).select_related("badge"))

    def handle(facts: Sequence[Fact]) -> None:
        _count(missions, facts, now=now)

    return process_shard(READER, shard, handle, now=now, names={mission.fact for mission in missions})


def period_of(mission: Mission, at: datetime, tz: ZoneInfo) -> str:
    """The period of a fact in the person's zone: "", "2026-03-02", "2026-W10" or "2026-03"."""
    day = at.astimezone(tz).date()
    if mission.period == Mission.Period.DAY:
        return day.isoformat()
    if mission.period == Mission.Period.WEEK:
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02}"
    return f"{day:%Y-%m}" if mission.period == Mission.Period.MONTH else ""


def matches(mission: Mission, fact: Fact | Event) -> bool:
    """Whether the fact counts: live, of that name, and with every property of the filter equal."""
    return fact.live and fact.name == mission.fact and passes(fact.properties, mission.filter)


def _count(missions: list[Mission], facts: Sequence[Fact], *, now: datetime) -> None:
    """Add the facts to the counters; pay for those that have now reached their target."""
    people = {fact.profile for fact in facts}
    zones = dict(Profile.objects.filter(pk__in=people).values_list("pk", "timezone"))
    shards = {fact.profile: fact.shard for fact in facts}
    counts: dict[Place, int] = {}
    for fact in facts:
        for mission in missions:
            if matches(mission, fact) and fact.occurred_at > now - MAX_AGE:
                place = (mission.pk, fact.profile, period_of(mission, fact.occurred_at, zone(zones[fact.profile])))
                counts[place] = counts.get(place, 0) + 1
    if counts:
        with transaction.atomic():
            _advance({mission.pk: mission for mission in missions}, counts, shards, now=now)


def _advance(missions: dict[int, Mission], counts: dict[Place, int], shards: dict[int, int], *, now: datetime) -> None:
    MissionProgress.objects.bulk_create(
        [
            MissionProgress(mission_id=m, profile_id=p, version=missions[m].version, period=period)
            for m, p, period in sorted(counts)
        ],
        ignore_conflicts=True,
    )
    rows = list(
        MissionProgress.objects.filter(
            mission__in={m for m, _, _ in counts},
            profile__in={p for _, p, _ in counts},
            period__in={period for _, _, period in counts},
        )
        .order_by("pk")
        .select_for_update(no_key=True)
    )
    done = []
    for row in rows:
        mission = missions[row.mission_id]
        added = counts.get((row.mission_id, row.profile_id, row.period), 0)
        if not added or row.version != mission.version:
            continue
        row.count = min(mission.target, row.count + added)
        if row.completed_at is None and row.count >= mission.target:
            row.completed_at = now
            done.append(row)
    MissionProgress.objects.bulk_update(rows, ["count", "completed_at"])
    _pay(missions, done, shards, now=now)


def _pay(missions: dict[int, Mission], done: list[MissionProgress], shards: dict[int, int], *, now: datetime) -> None:
    def key(row: MissionProgress) -> str:
        return f"mission:{row.mission_id}:{row.version}:{row.profile_id}:{row.period}"

    earn_many(
        [Earn(row.profile_id, missions[row.mission_id].points, key(row), missions[row.mission_id].key) for row in done],
        now=now,
    )
    for mission in {missions[row.mission_id].pk: missions[row.mission_id] for row in done}.values():
        if mission.badge:
            rows = [row for row in done if row.mission_id == mission.pk]
            award_many(mission.badge.key, [BadgeFor(row.profile_id, key(row), mission.key) for row in rows], now=now)
    append_engine_facts(
        [
            (
                row.profile_id,
                shards[row.profile_id],
                MISSION_COMPLETED,
                key(row),
                {"mission": missions[row.mission_id].key, "period": row.period},
            )
            for row in done
        ],
        now=now,
    )
