"""Missions: deeds measured per person and period; reaching the target pays points and a badge, once each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from common.params import Params, read_params
from common.periods import start_of_day, zone
from common.text import say
from segments.facts.append import append_engine_facts
from segments.facts.fact import Fact
from segments.facts.filter import passes
from segments.facts.names import MISSION_COMPLETED
from segments.facts.read import process_shard
from segments.growth.badges import BadgeFor, award_many
from segments.growth.earning import ref_of
from segments.growth.ledger import Earn, earn_many
from segments.growth.measures import Deed, Measure, measures
from segments.models import Event, Mission, MissionProgress, Profile

READER = "missions"
MAX_AGE = timedelta(days=2)  # what is older when it is read counts for nothing: missions look ahead
Place = tuple[int, int, str]  # mission, profile, period
Deeds = Mapping[Place, Sequence[tuple[Deed, str]]]  # with what a reward for each would be given for


@dataclass(frozen=True)
class Done:
    """A target reached: by whom, for which time in the period, with the order that did it ("" for none)."""

    row: MissionProgress
    times: int
    ref: str

    @property
    def key(self) -> str:
        row = self.row
        stem = f"mission:{row.mission_id}:{row.version}:{row.profile_id}:{row.period}"
        return stem if self.times == 1 else f"{stem}:{self.times}"


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


def deed_of(fact: Fact | Event, tz: ZoneInfo) -> Deed:
    """The fact as a measure takes it."""
    return Deed(fact.occurred_at.astimezone(tz).date(), fact.properties, fact.value)


def measure_of(mission: Mission) -> tuple[Measure[Any], Params]:
    """How the mission counts. Raises UnknownKey or Invalid for what an operator cannot have saved."""
    measure = measures.get(mission.measure)
    return measure, read_params(measure.Params, mission.how, path="how")


def done_often(mission: Mission, times: int) -> bool:
    """Whether it has been done as often in the period as it may be."""
    return mission.repeats is not None and times >= mission.repeats


def sentence(mission: Mission, language: str) -> str:
    """What people have to do and what they get, in English or Chinese ("zh…")."""
    measure, params = measure_of(mission)
    task = measure.say(params, mission.fact, mission.target, language)
    when = say(*WHEN[mission.period], language)
    gets = []
    if mission.points:
        gets.append(say(f"{mission.points:,} points", f"{mission.points:,} 积分", language))
    if mission.badge:
        name = mission.badge.name_zh or mission.badge.name
        gets.append(say(f"the badge “{mission.badge.name}”", f"徽章“{name}”", language))
    reward = say(" and ".join(gets) or "nothing yet", "和".join(gets) or "暂无奖励", language)
    often = say(*_often(mission), language)
    return say(f"{task}{when}: earns {reward}{often}.", f"{when}{task}：获得{reward}{often}。", language)


WHEN = {"ever": ("", ""), "day": (" within a day", "一天内"), "week": (" within a week", "一周内"),
        "month": (" within a month", "一个月内")}  # fmt: skip


def _often(mission: Mission) -> tuple[str, str]:
    each = ("", "") if mission.period == Mission.Period.EVER else (" a period", "每期")
    if mission.repeats is None:
        return ", each time", "，每次达成都有"
    if mission.repeats == 1:
        return ", once" + each[0], "，" + each[1] + "一次"
    return f", up to {mission.repeats} times{each[0]}", f"，{each[1]}最多 {mission.repeats} 次"


def lapse_streaks(now: datetime, *, limit: int = 1000) -> int:
    """Streaks that silence has broken stand at 0 again; returns how many. A day told late still mends them."""
    rows = MissionProgress.objects.filter(lapses_at__lte=now).order_by("lapses_at")
    due = list(rows.values_list("pk", flat=True)[:limit])
    return MissionProgress.objects.filter(pk__in=due, lapses_at__lte=now).update(count=0, lapses_at=None)


def lapse_of(measure: Measure[Any], params: Params, kept: Any, tz: ZoneInfo) -> datetime | None:
    """The moment at which the count is lost: the beginning of that day where the person lives."""
    day = measure.lapses(params, kept)
    return start_of_day(day, tz) if day else None


def _count(missions: list[Mission], facts: Sequence[Fact], *, now: datetime) -> None:
    """Take the facts in; pay for the targets that are reached now."""
    people = {fact.profile for fact in facts}
    zones = {pk: zone(name) for pk, name in Profile.objects.filter(pk__in=people).values_list("pk", "timezone")}
    deeds: dict[Place, list[tuple[Deed, str]]] = defaultdict(list)
    for fact in facts:
        for mission in missions:
            if matches(mission, fact) and fact.occurred_at > now - MAX_AGE:
                tz = zones[fact.profile]
                place = (mission.pk, fact.profile, period_of(mission, fact.occurred_at, tz))
                deeds[place].append((deed_of(fact, tz), ref_of(fact)))
    if deeds:
        with transaction.atomic():
            done = _advance({mission.pk: mission for mission in missions}, deeds, zones, now=now)
            _pay({mission.pk: mission for mission in missions}, done, {f.profile: f.shard for f in facts}, now=now)


def _advance(
    missions: Mapping[int, Mission], deeds: Deeds, zones: Mapping[int, ZoneInfo], *, now: datetime
) -> list[Done]:
    """Bring the counters up to the deeds, under their locks; returns the targets reached."""
    MissionProgress.objects.bulk_create(
        [
            MissionProgress(mission_id=m, profile_id=p, version=missions[m].version, period=period)
            for m, p, period in sorted(deeds)
        ],
        ignore_conflicts=True,
    )
    rows = MissionProgress.objects.filter(
        mission__in={m for m, _, _ in deeds},
        profile__in={p for _, p, _ in deeds},
        period__in={period for _, _, period in deeds},
    )
    done, changed = [], []
    for row in rows.order_by("pk").select_for_update(no_key=True):
        mine = deeds.get((row.mission_id, row.profile_id, row.period))
        if mine and row.version == missions[row.mission_id].version:
            done += _take_in(row, missions[row.mission_id], mine, zones[row.profile_id], now=now)
            changed.append(row)
    MissionProgress.objects.bulk_update(changed, ["count", "kept", "times", "completed_at", "lapses_at"])
    return done


def _take_in(
    row: MissionProgress, mission: Mission, deeds: Sequence[tuple[Deed, str]], tz: ZoneInfo, *, now: datetime
) -> list[Done]:
    """One counter and its new deeds."""
    measure, params = measure_of(mission)
    kept = measure.begin(row.count) if row.kept is None else row.kept
    times, done = times_of(row), []
    for deed, ref in deeds:
        if done_often(mission, times):
            break
        kept = measure.add(params, kept, deed, mission.target)
        while measure.count(params, kept, mission.target) >= mission.target and not done_often(mission, times):
            times += 1
            kept = measure.rest(params, kept, mission.target)
            done.append(Done(row, times, ref))
            row.completed_at = now
    over = done_often(mission, times)
    row.kept, row.times = kept, times
    row.count = mission.target if over else measure.count(params, kept, mission.target)
    row.lapses_at = None if over else lapse_of(measure, params, kept, tz)
    return done


def times_of(row: MissionProgress) -> int:
    """How often it has been completed, also by a row from before that was counted."""
    return max(row.times, 1 if row.completed_at else 0)


def _pay(missions: Mapping[int, Mission], done: Sequence[Done], shards: Mapping[int, int], *, now: datetime) -> None:
    """Points, badges and the facts of it."""
    earns = []
    for one in done:
        mission = missions[one.row.mission_id]
        earns.append(Earn(one.row.profile_id, mission.points, one.key, mission.key, ref=one.ref))
    earn_many(earns, now=now)
    for pk in {one.row.mission_id for one in done}:
        badge = missions[pk].badge
        if badge:
            mine = [BadgeFor(one.row.profile_id, one.key, missions[pk].key) for one in done if one.row.mission_id == pk]
            award_many(badge.key, mine, now=now)
    facts = []
    for one in done:
        said = {"mission": missions[one.row.mission_id].key, "period": one.row.period, "times": one.times}
        facts.append((one.row.profile_id, shards[one.row.profile_id], MISSION_COMPLETED, one.key, said))
    append_engine_facts(facts, now=now)
