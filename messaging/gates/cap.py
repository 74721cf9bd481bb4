"""Nobody hears from us too often: calendar and rolling limits and gaps, in the recipient's own zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import F

from common.periods import local_date, start_of_day, zone
from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.gates import _policy as policy
from messaging.gates._policy import ALL, EXIT, SKIP, Cap, Policy

YIELD = timedelta(minutes=10)  # how long a message waits for one that goes before it


@dataclass(frozen=True)
class Prepared:
    policy: Policy
    fallback: str


@gates.register("cap")
class CapGate(Gate):
    """Holds (or skips, or lets leave the journey) what would exceed a limit or come too soon.

    A day, week (from Monday) or month is the recipient's. Without a class, the limit of a channel binds and counts
    marketing; one over all channels binds and counts lifecycle too. A person's own limit binds their marketing over
    all channels. What counts is each message that passed its last gate, ghosts included; where there is room for one
    only, the message of higher priority that is due goes first.
    """

    key: ClassVar[str] = "cap"
    order: ClassVar[int] = 80
    classes: ClassVar[frozenset[str]] = frozenset({"lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {
            "cap_zone": F("profile__timezone"),
            "cap_own": F("profile__preference__at_most"),
            "cap_own_period": F("profile__preference__period"),
            "cap_own_replaces": F("profile__preference__replaces"),
        }

    def lookback(self, now: datetime) -> timedelta:
        return policy.current().lookback

    def prepare(self, now: datetime) -> Prepared:
        return Prepared(policy.current(), settings.WORKSPACE_ZONE)

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        caps = [cap for cap in _caps_of(row, prepared.policy) if cap.concerns(*_kind_of(row))]
        found = [verdict for cap in caps if (verdict := _over(cap, row, now, prepared))]
        return max(found, key=_hardest, default=None)


def _kind_of(row: Row) -> tuple[str, str, tuple[str, str]]:
    return row["channel"], row["klass"], (row["topic"], row["campaign"])


def _caps_of(row: Row, rules: Policy) -> Sequence[Cap]:
    """The limits of the installation, and the person's own beside or instead of those on marketing."""
    if row["cap_own"] is None or row["klass"] != "marketing":
        return rules.caps
    own = Cap(ALL, row["cap_own"], row["cap_own_period"], klass="marketing", over="own")
    return [own] if row["cap_own_replaces"] else [*rules.caps, own]


def _hardest(verdict: Verdict) -> tuple[bool, float]:
    return verdict.until is None, verdict.until.timestamp() if verdict.until else 0.0


def _over(cap: Cap, row: Row, now: datetime, prepared: Prepared) -> Verdict | None:
    """The objection of one limit. Of a row that has room only as long as nobody more important takes it: a wait."""
    if cap.limit == 0:
        return Verdict(Ruling.SKIP, _reason(cap))
    assert cap.limit is not None
    if not row["recent"] and not row["rivals"]:
        return None
    start, end = _span(cap, row, now, prepared.fallback)
    counted = sorted(one.at for one in row["recent"] if one.at >= start and cap.concerns(*one.kind))
    if len(counted) >= cap.limit:
        until = end or counted[len(counted) - cap.limit] + cap.width
        return None if until <= now else _verdict(cap, row, until, prepared.policy)
    rivals = sum(cap.concerns(*one.kind) for one in row["rivals"])
    if rivals and len(counted) + rivals >= cap.limit:
        return Verdict(Ruling.HOLD, f"priority:{_reason(cap)}", now + YIELD)
    return None


def _span(cap: Cap, row: Row, now: datetime, fallback: str) -> tuple[datetime, datetime | None]:
    """From when messages count, and when the count begins anew (None: when the oldest of them leaves the window)."""
    if cap.period in ("rolling", "gap"):
        return now - cap.width, None
    return _period(cap.period, row["cap_zone"] or fallback, now)


def _reason(cap: Cap) -> str:
    return f"own:{cap.period}" if cap.over == "own" else cap.reason


def _verdict(cap: Cap, row: Row, until: datetime, rules: Policy) -> Verdict:
    over = cap.over if cap.over in (EXIT, SKIP, policy.HOLD) else rules.over_cap
    if over == EXIT:
        return Verdict(Ruling.SKIP, f"leaves:{_reason(cap)}")
    if over == SKIP:
        return Verdict(Ruling.SKIP, _reason(cap))
    if cap.patience is not None and until > row["planned_at"] + cap.patience:
        return Verdict(Ruling.EXPIRE, _reason(cap))
    return Verdict(Ruling.HOLD, _reason(cap), until)


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
