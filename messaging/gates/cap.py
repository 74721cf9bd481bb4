"""Nobody hears from us too often: calendar caps and minimum gaps, in the recipient's own zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import F

from common.periods import local_date, start_of_day, zone
from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.gates import _policy as policy
from messaging.gates._policy import ALL, SILENT, Cap, Policy

MARKETING = frozenset({"marketing"})
COUNTED = frozenset({"marketing", "lifecycle"})


@dataclass(frozen=True)
class Prepared:
    policy: Policy
    fallback: str


@gates.register("cap")
class CapGate(Gate):
    """Holds (or skips, by OVER_CAP) what would exceed a cap or come too soon.

    A day, week (from Monday) or month is the recipient's. Marketing heeds the caps and the gap of its channel,
    where marketing counts, and the cap over all channels, where lifecycle counts too; lifecycle heeds the latter
    alone. What counts is each message that passed its last gate, ghosts included.
    """

    key: ClassVar[str] = "cap"
    order: ClassVar[int] = 80
    classes: ClassVar[frozenset[str]] = frozenset({"lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {"cap_zone": F("profile__timezone")}

    def lookback(self, now: datetime) -> timedelta:
        return policy.current().lookback

    def prepare(self, now: datetime) -> Prepared:
        return Prepared(policy.current(), settings.WORKSPACE_ZONE)

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        caps = [cap for cap in prepared.policy.caps if _concerns(cap, row)]
        gap = prepared.policy.gaps.get(row["channel"]) if row["klass"] == "marketing" else None
        found = [verdict for cap in caps if (verdict := _over(cap, row, now, prepared))]
        if gap and (verdict := _too_soon(gap, row, now, prepared.policy)):
            found.append(verdict)
        return max(found, key=_hardest, default=None)


def _hardest(verdict: Verdict) -> tuple[bool, float]:
    return verdict.until is None, verdict.until.timestamp() if verdict.until else 0.0


def _concerns(cap: Cap, row: Row) -> bool:
    if cap.channel == ALL:
        return row["channel"] not in SILENT
    return bool(cap.channel == row["channel"] and row["klass"] == "marketing")


def _over(cap: Cap, row: Row, now: datetime, prepared: Prepared) -> Verdict | None:
    reason = f"cap:{cap.channel}:{cap.period}"
    if cap.limit == 0:
        return Verdict(Ruling.SKIP, reason)
    start, end = _period(cap.period, row["cap_zone"] or prepared.fallback, now)
    if sum(start <= at and _counts(cap, channel, klass) for channel, klass, at in row["recent"]) < cap.limit:
        return None
    return _verdict(prepared.policy, reason, end)


def _counts(cap: Cap, channel: str, klass: str) -> bool:
    if cap.channel == ALL:
        return klass in COUNTED and channel not in SILENT
    return klass in MARKETING and channel == cap.channel


def _too_soon(gap: timedelta, row: Row, now: datetime, rules: Policy) -> Verdict | None:
    channel = row["channel"]
    last = max((at for there, klass, at in row["recent"] if there == channel and klass in MARKETING), default=None)
    if last is None or last + gap <= now:
        return None
    return _verdict(rules, f"gap:{channel}", last + gap)


def _verdict(rules: Policy, reason: str, until: datetime) -> Verdict:
    if rules.over_cap == "skip":
        return Verdict(Ruling.SKIP, reason)
    return Verdict(Ruling.HOLD, reason, until)


@lru_cache(maxsize=1024)
def _period(period: str, zone_name: str, now: datetime) -> tuple[datetime, datetime]:
    """The calendar period of `now` in a zone: its first instant and the first of the next one."""
    tz = zone(zone_name)
    today = local_date(now, tz)
    if period == "day":
        first, following = today, today + timedelta(days=1)
    elif period == "week":
        first = today - timedelta(days=today.weekday())
        following = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return start_of_day(first, tz), start_of_day(following, tz)
