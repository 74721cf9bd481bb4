"""Who may have changed sides since a segment was last refreshed: by a fact, or by time alone.

A windowed question flips without any news when a fact leaves the window at its lower edge, or when a fact dated
ahead comes due at the upper one. Between two refreshes at `lo` and `hi` (in either order of the clock) these are
the people with a fact in (lo - w, hi - w] or in (lo, hi].
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, IntegerField, Max, Q, QuerySet, Value, When

from common.buckets import SHARDS
from common.semijoin import Sql, among
from segments.facts.fact import Position
from segments.facts.names import CORRECTED, ERASED, MERGED, SEGMENT_ENTERED, SEGMENT_LEFT
from segments.facts.read import after
from segments.models import Event, Profile, SegmentRun
from segments.rules.compile import blank, reads_of
from segments.rules.operators import Reads
from segments.rules.tree import Rule

ALWAYS = frozenset({MERGED, ERASED, CORRECTED})
SHARE = 0.05
FEW = 1000
BACKLOG = 200_000
ANY = "*"


@dataclass(frozen=True)
class Since:
    """The stretch of log and time that a refresh catches up with: (cursor, upto] and from `last` to `now`."""

    cursor: Position
    upto: Position
    last: datetime
    now: datetime


def names_read(rule: Rule) -> frozenset[str]:
    """The facts whose arrival may flip the rule; "*" with them when any fact of a sender may.

    That is so when the rule reads traits, which every call may bring, and when it holds for somebody of whom
    nothing is known yet, so that whoever is new must be asked about.
    """
    reads = reads_of(rule)
    names = reads.facts | ALWAYS
    names |= {SEGMENT_ENTERED, SEGMENT_LEFT} if reads.segments else frozenset()
    return names if blank(rule) is False and not reads.traits else names | {ANY}


def most_candidates() -> int:
    """Above this number a full pass is cheaper: a twentieth of the people, and at least a thousand."""
    last = Profile.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return max(FEW, int(last * SHARE))


@dataclass(frozen=True)
class Choice:
    """Why a pass was taken: what was estimated, and above which number a pass over everyone is cheaper."""

    why: SegmentRun.Why
    estimated: int | None = None
    threshold: int | None = None


def find_candidates(rule: Rule, since: Since) -> tuple[set[int] | None, Choice]:
    """Ids of all who may have changed sides, and the choice that this makes.

    None when they are too many, or the facts to read are; what is estimated is then a number that they reach.
    """
    backlog = _log(since)[: BACKLOG + 1].count()
    if backlog > BACKLOG:
        return None, Choice(SegmentRun.Why.BACKLOG, backlog, BACKLOG)
    found: set[int] = set()
    most = most_candidates()
    for rows in (changed(names_read(rule), since), *crossing(reads_of(rule), since)):
        found.update(rows.values_list("profile_id", flat=True).distinct()[: most + 1])
        if len(found) > most:
            return None, Choice(SegmentRun.Why.MANY, len(found), most)
    return found, Choice(SegmentRun.Why.FEW, len(found), most)


def changed(names: frozenset[str], since: Since) -> QuerySet[Event]:
    """New facts of these names."""
    return _log(since).filter(_named(names))


def _log(since: Since) -> QuerySet[Event]:
    return after(since.cursor, since.upto).filter(shard__in=range(SHARDS)).order_by()


def _named(names: frozenset[str]) -> Q:
    """The fact bears one of the names. SQLite is kept (by +) from walking all facts of a name, however old."""
    wanted = sorted(names - {ANY})
    named = Q(
        Sql(
            "name",
            postgres=("{col} = ANY(%s::text[])", [wanted]),
            sqlite=("+{col} IN (SELECT value FROM json_each(%s))", [json.dumps(wanted)]),
        )
    )
    return named | ~Q(kind=Event.Kind.SYSTEM) if ANY in names else named


def crossing(reads: Reads, since: Since) -> list[QuerySet[Event]]:
    """Facts that crossed an edge of a window while time went from `last` to `now`."""
    lo, hi = min(since.last, since.now), max(since.last, since.now)
    if lo == hi:
        return []
    spans = {(lo - edge.width, hi - edge.width, edge.facts) for edge in reads.windows}
    spans |= {(lo, hi, edge.facts) for edge in reads.windows}
    rows = [(Event.objects.filter(occurred_at__gt=low, occurred_at__lte=high), names) for low, high, names in spans]
    return [found.filter(name__in=sorted(names)) if names else found for found, names in rows]


@dataclass(frozen=True)
class Cause:
    """What the facts behind a change say: whether it may trigger, and how long the chain is already."""

    live: bool = True
    depth: int = 0


def causes(names: frozenset[str], since: Since, ids: Iterable[int]) -> dict[int, Cause]:
    """For each person with new facts that the rule reads: history alone may not trigger. Others moved by time."""
    live = Case(When(live=True, then=Value(1)), default=Value(0), output_field=IntegerField())
    rows = after(since.cursor, since.upto).filter(_named(names), among("profile_id", list(ids))).order_by()
    told = rows.values("profile_id").annotate(any_live=Max(live), chain=Max("depth"))
    return {row["profile_id"]: Cause(bool(row["any_live"]), row["chain"]) for row in told}
