"""The hour at which each person answers: a histogram of their clicks and opens on their own clock, once a day.

Clicks weigh 3, opens 1, machines nothing; what is older weighs less (half-life 30 days, none after 90). The histogram
of all readers of the channel stands in with the mass of ten opens, so that one odd click decides nothing; with fewer
than three answers of one's own it decides alone. Reckoned only where a rule asks for it, within its window
(docs/gates.md). Braze and Klaviyo do the same with their own numbers; ours are in SCIENCE's terms a Dirichlet prior.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, time, timedelta
from itertools import groupby
from operator import itemgetter

from django.conf import settings

from common.periods import zone
from messaging.gates._policy import ALL, SILENT
from messaging.models import BestHour, Click, SendingRule

REACH = timedelta(days=90)
HALF_LIFE = timedelta(days=30)
PRIOR = 10.0
FEWEST = 3
WEIGHTS = {Click.Kind.CLICK.value: 3.0, Click.Kind.OPEN.value: 1.0}
BATCH = 1000
Answered = tuple[int, str, str, datetime]  # profile, zone, kind, when
Hours = list[float]  # 24 weights


def learn_hours(now: datetime) -> int:
    """Reckon the hours of every channel that a rule names; returns how many people have one."""
    return sum(_learn(channel, window, now) for channel, window in _wanted().items())


def _wanted() -> dict[str, tuple[time, time] | None]:
    """Channels with their window; a rule of the channel stands before one for all."""
    rules = list(SendingRule.objects.filter(kind=SendingRule.Kind.BEST, active=True).order_by("-tag", "-pk"))
    answered = set(Click.objects.values_list("delivery__channel", flat=True).distinct()) if rules else set()
    found: dict[str, tuple[time, time] | None] = {}
    for rule in sorted(rules, key=lambda rule: rule.channel != ALL):
        for channel in answered - SILENT if rule.channel == ALL else {rule.channel}:
            found[channel] = (rule.starts, rule.ends) if rule.starts is not None and rule.ends is not None else None
    return found


def _answers(channel: str, now: datetime) -> Iterator[Answered]:
    """What people did with messages of a channel, person by person."""
    rows = Click.objects.filter(
        machine=False, why="", at__gt=now - REACH, at__lte=now, delivery__channel=channel, delivery__ghost=False
    )
    chosen = ("delivery__profile", "delivery__profile__timezone", "kind", "at")
    return rows.order_by("delivery__profile").values_list(*chosen).iterator(chunk_size=5000)


def _learn(channel: str, window: tuple[time, time] | None, now: datetime) -> int:
    everybody = histogram(_answers(channel, now), now)
    total, done = sum(everybody), 0
    prior = [PRIOR * weight / total for weight in everybody] if total else everybody
    rows: list[BestHour] = []
    for who, answers in groupby(_answers(channel, now), key=itemgetter(0)):
        own = list(answers)
        weights = histogram(own, now) if len(own) >= FEWEST else [0.0] * 24
        hour = best_of([mine + all_ for mine, all_ in zip(weights, prior, strict=True)], window)
        rows.append(BestHour(profile_id=who, channel=channel, hour=hour, events=len(own), computed_at=now))
        if len(rows) >= BATCH:
            done += _write(rows)
            rows = []
    done += _write(rows)
    BestHour.objects.filter(channel=channel, computed_at__lt=now).delete()
    return done


def histogram(answers: Iterable[Answered], now: datetime) -> Hours:
    """Weights of the 24 hours of the day, on each person's own clock."""
    hours = [0.0] * 24
    for _who, name, kind, at in answers:
        local = at.astimezone(zone(name or settings.WORKSPACE_ZONE))
        hours[local.hour] += WEIGHTS.get(kind, 0.0) * 0.5 ** ((now - at) / HALF_LIFE)
    return hours


def best_of(hours: Hours, window: tuple[time, time] | None) -> int:
    """The heaviest hour within a window (all day when there is none, or it holds no whole hour); the earliest of
    equals."""
    allowed = [hour for hour in range(24) if window is None or _inside(time(hour), *window)] or list(range(24))
    return max(allowed, key=lambda hour: (hours[hour], -hour))


def _inside(hour: time, start: time, end: time) -> bool:
    return start <= hour < end if start <= end else hour >= start or hour < end


def _write(rows: list[BestHour]) -> int:
    BestHour.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["profile", "channel"],
        update_fields=["hour", "events", "computed_at"],
    )
    return len(rows)
