"""Marketing waits for the hour at which its reader reads, if a rule says so; a tenth is sent otherwise, to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F, OuterRef, Subquery

from common.buckets import unit
from common.periods import next_local, zone
from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.gates import _policy as policy
from messaging.gates._policy import ALL, SILENT, Best
from messaging.models import BestHour

PATIENCE = timedelta(hours=24)


@gates.register("best_hour")
class BestHourGate(Gate):
    """Holds marketing, once and for a day at most, until the person's best hour after it was planned.

    Whoever is in the compared group, or of whom no hour is known, gets it at the rule's fallback hour (blank: at
    once). Quiet hours still hold: this gate comes before them.
    """

    key: ClassVar[str] = "best_hour"
    order: ClassVar[int] = 85
    classes: ClassVar[frozenset[str]] = frozenset({"marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        known = BestHour.objects.filter(profile=OuterRef("profile"), channel=OuterRef("channel"))
        return {
            "best_hour_known": Subquery(known.values("hour")[:1]),
            "best_hour_zone": F("profile__timezone"),
            "best_hour_person": F("profile__public_id"),
        }

    def prepare(self, now: datetime) -> tuple[Sequence[Best], str]:
        return policy.current().best, settings.WORKSPACE_ZONE

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        rules, fallback = prepared
        rule = rule_of(row, rules)
        if rule is None:
            return None
        hour = hour_of(rule, row["best_hour_person"], row["best_hour_known"])
        if hour is None:
            return None
        target = goal(row["planned_at"], hour, zone(row["best_hour_zone"] or fallback))
        if now >= target:
            return None
        return Verdict(Ruling.HOLD, f"best_hour:{hour:%H:%M}", target)


def rule_of(row: Row, rules: Sequence[Best]) -> Best | None:
    """The rule of the message: one for its topic or campaign before one for all."""
    tags = ("", row["topic"], row["campaign"])
    channels = (row["channel"],) if row["channel"] in SILENT else (row["channel"], ALL)
    fitting = [rule for rule in rules if rule.tag in tags and rule.channel in channels]
    return max(fitting, key=lambda rule: (rule.tag != "", rule.channel != ALL), default=None)


def hour_of(rule: Best, person: Any, known: int | None) -> time | None:
    """The hour at which a rule wants a person's message to go; None: at once."""
    if known is None or is_compared(rule.pk, rule.control, person) or not _inside(time(known), rule.window):
        return rule.fallback
    return time(known)


def is_compared(rule: int, control: int, person: Any) -> bool:
    """Whether a person belongs to the compared group of a rule: a stable draw by their public id."""
    return unit(f"best_hour:{rule}", person) * 100 < control


def goal(planned_at: datetime, hour: time, tz: ZoneInfo) -> datetime:
    """The first time that the person's clock shows the hour once the message is planned; the hour that has begun
    counts."""
    local = planned_at.astimezone(tz)
    if local.hour == hour.hour:
        return planned_at
    return min(next_local(planned_at, hour, tz), planned_at + PATIENCE)


def _inside(hour: time, window: tuple[time, time] | None) -> bool:
    if window is None:
        return True
    start, end = window
    return start <= hour < end if start <= end else hour >= start or hour < end
