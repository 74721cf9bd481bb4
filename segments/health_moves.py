"""Writing what judging found: rows that differ, the history of bands, and a fact for each move."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, floor
from typing import Any, NamedTuple

from common.semijoin import among
from segments.bulk import insert
from segments.facts import names
from segments.facts.append import append_facts, engine_source
from segments.facts.fact import NewFact
from segments.health_bands import RANK
from segments.merge import MergeHandler, Pair, handlers
from segments.models import Health, HealthChange

FIELDS = (
    "rules_id", "score", "coverage", "trend", "band", "since", "pending", "pending_since", "parts", "parts_before",
    "next_change_at",
)  # fmt: skip
JSON = frozenset({"parts", "parts_before"})
_KINDS = {
    "rules_id": "bigint", "band": "varchar", "pending": "varchar", "parts": "jsonb", "parts_before": "jsonb",
    **dict.fromkeys(("score", "coverage", "trend"), "double precision"),
    **dict.fromkeys(("since", "pending_since", "next_change_at"), "timestamptz"),
}  # fmt: skip
COLUMNS = (("profile_id", "bigint"), *((name, _KINDS[name]) for name in FIELDS), ("computed_at", "timestamptz"))
CHANGES = (
    ("profile_id", "bigint"), ("at", "timestamptz"), ("before", "varchar"), ("after", "varchar"),
    ("score", "double precision"), ("trend", "double precision"), ("reason", "varchar"),
)  # fmt: skip
STEP = 5  # points: whoever asks for a score or a trend asks for a multiple of it
Row = dict[str, Any]


@dataclass(frozen=True)
class Reason:
    """Why people are judged now: whether what is found of them may trigger (True where nothing is said), how deep
    the chain is, and whether new rules are the cause."""

    live: Mapping[int, bool] = field(default_factory=dict)
    depth: Mapping[int, int] = field(default_factory=dict)
    rules: bool = False


class Move(NamedTuple):
    """One person's row as it was (None: never judged) and as it is now; `why` is the reason for the band."""

    profile: int
    shard: int
    old: Row | None
    row: Row
    why: str

    def was(self, name: str) -> Any:
        return self.old[name] if self.old else None


def write_moves(moves: Sequence[Move], *, now: datetime) -> None:
    """Insert or replace the rows, in one statement."""
    rows = [
        (move.profile, *(json.dumps(move.row[name]) if name in JSON else move.row[name] for name in FIELDS), now)
        for move in moves
    ]
    sets = ", ".join(f"{name} = excluded.{name}" for name, _ in COLUMNS[1:])
    insert("segments_health", COLUMNS, rows, conflict=f"(profile_id) DO UPDATE SET {sets}")


def tell_moves(moves: Sequence[Move], *, now: datetime, reason: Reason) -> None:
    """A history row and a fact for every band that moved, and a fact where score or trend passed a step."""
    source, facts, at = engine_source(), [], now.isoformat()

    def tell(move: Move, name: str, key: str, said: Row) -> None:
        live, depth = reason.live.get(move.profile, True), reason.depth.get(move.profile, 0)
        facts.append(
            NewFact(move.profile, move.shard, name, now, key, source, kind="system", properties=said, live=live,
                    depth=depth)
        )  # fmt: skip

    for move, change in _changes(moves, now=now, rules=reason.rules):
        worse = bool(change.after) and RANK[change.after] < RANK[change.before]
        said = {"before": change.before, "after": change.after, "worse": worse}
        said |= {"score": change.score, "trend": change.trend, "reason": change.reason}
        key = f"health:{move.profile}:{at}:{change.before}:{change.after}"
        tell(move, names.HEALTH_CHANGED, key, said)
    for move in moves:
        row = move.row
        if any(step(row[name]) != step(move.was(name)) for name in ("score", "trend")):
            key = f"health score:{move.profile}:{at}:{row['score']}:{row['trend']}"
            tell(move, names.HEALTH_SCORED, key, {"score": row["score"], "trend": row["trend"]})
    append_facts(facts, now=now)


def step(number: float | None) -> tuple[int, int] | None:
    """Between which multiples of five a number lies: it differs whenever a question about one may flip."""
    return None if number is None else (floor(number / STEP), ceil(number / STEP))


def _changes(moves: Sequence[Move], *, now: datetime, rules: bool) -> list[tuple[Move, HealthChange]]:
    """The history rows of bands that moved; the band at first sight is no change."""
    moved = [move for move in moves if move.old and move.row["band"] != move.was("band")]
    rows = [
        HealthChange(
            profile_id=move.profile, at=now, before=move.was("band"), after=move.row["band"], score=move.row["score"],
            trend=move.row["trend"], reason="rules" if rules else move.why,
        )
        for move in moved
    ]  # fmt: skip
    if rows:
        insert("segments_healthchange", CHANGES, [tuple(getattr(row, name) for name, _ in CHANGES) for row in rows])
    return list(zip(moved, rows, strict=True))


@handlers.register("health")
class HealthMerging(MergeHandler):
    """The visitor's row goes; the fact of the merge has the known person judged anew, and an undo has both."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        Health.objects.filter(among("pk", [pair.gone for pair in pairs])).delete()
