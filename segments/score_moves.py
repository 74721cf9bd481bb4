"""Writing what scoring found: rows that differ, the history of stages, and a fact for each move."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from common.semijoin import among
from segments.bulk import insert
from segments.facts import names
from segments.facts.append import append_facts, engine_source
from segments.facts.fact import NewFact
from segments.models import Event
from segments.models.known import Stage
from segments.stage_reasons import unpack

FIELDS = (
    "r", "f", "m", "cell", "octant", "orders", "spent", "first_order_at", "last_order_at", "orders_ever", "spent_ever",
    "gap_days", "stage", "stage_since", "stage_next", "stage_next_since", "won_back_until", "next_change_at",
)  # fmt: skip
RFM = ("r", "f", "m", "cell", "octant")
_MOMENTS = {"first_order_at", "last_order_at", "stage_since", "stage_next_since", "won_back_until", "next_change_at"}
_TEXTS = {"cell", "octant", "stage", "stage_next"}
_KINDS = {
    **dict.fromkeys(_MOMENTS, "timestamptz"), **dict.fromkeys(_TEXTS, "varchar"), "spent": "bigint",
    "spent_ever": "bigint", "gap_days": "double precision",
}  # fmt: skip
COLUMNS = (
    ("profile_id", "bigint"), *((name, _KINDS.get(name, "integer")) for name in FIELDS), ("edges_id", "bigint"),
    ("computed_at", "timestamptz"),
)  # fmt: skip
CHANGES = (
    ("profile_id", "bigint"), ("at", "timestamptz"), ("before", "varchar"), ("after", "varchar"), ("reason", "varchar"),
)  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class Reason:
    """Why people are scored now: ids with new facts, and whether any of those may trigger; how deep the chain is.

    The stage of those `anew` is settled as if none had been known: another rule judges them now.
    """

    live: Mapping[int, bool] = field(default_factory=dict)
    depth: Mapping[int, int] = field(default_factory=dict)
    anew: Collection[int] = ()


class Move(NamedTuple):
    """One person's row as it was (None: never scored) and as it is now; `why` is the reason for the stage."""

    profile: int
    shard: int
    old: Row | None
    row: Row
    why: str


def write_moves(moves: Sequence[Move], *, now: datetime, edges: int | None) -> None:
    """Insert or replace the rows, in one statement."""
    values = itemgetter(*FIELDS)
    rows = [(move.profile, *values(move.row), edges, now) for move in moves]
    sets = ", ".join(f"{name} = excluded.{name}" for name in (*FIELDS, "edges_id", "computed_at"))
    insert("segments_scores", COLUMNS, rows, conflict=f"(profile_id) DO UPDATE SET {sets}")


def tell_moves(moves: Sequence[Move], *, now: datetime, reason: Reason) -> None:
    """History rows and facts for those whose stage or scores moved; what history alone brought about may trigger
    nothing, so a person first met is told of only if a live order is known."""
    fresh = _with_live_orders([move.profile for move in moves if move.old is None])
    source, facts, at = engine_source(), [], now.isoformat()

    def tell(move: Move, name: str, key: str, said: Row) -> None:
        live = move.profile in fresh if move.old is None else reason.live.get(move.profile, True)
        depth = reason.depth.get(move.profile, 0)
        facts.append(
            NewFact(move.profile, move.shard, name, now, key, source, kind="system", properties=said, live=live,
                    depth=depth)
        )  # fmt: skip

    for move, before, after, why in _stage_changes(moves, now=now):
        key, numbers = unpack(why)
        said = {"before": before, "after": after, "reason": key, **numbers}
        tell(move, names.STAGE_CHANGED, f"stage:{move.profile}:{at}:{after}", said)
    scored, unscored = itemgetter(*RFM), (None, None, None, "", "")
    for move in moves:
        row, old = move.row, move.old
        if scored(row) != (scored(old) if old else unscored):
            key = f"rfm:{move.profile}:{at}:{row['octant']}:{row['r']}{row['f']}{row['m']}"
            tell(move, names.RFM_CHANGED, key, {"before": old["cell"] if old else "", "after": row["cell"]})
        until = old["won_back_until"] if old else None
        if old and until and not row["won_back_until"] and row["stage"] == old["stage"]:
            tell(move, names.STAGE_CHANGED, f"won back:{move.profile}:{until.isoformat()}", {"won_back": False})
    append_facts(facts, now=now)


def _stage_changes(moves: Sequence[Move], *, now: datetime) -> list[tuple[Move, str, str, str]]:
    """Write the history rows and return (move, before, after, reason); becoming a prospect at first sight is no
    change."""
    changes = []
    for move in moves:
        before, after = move.old["stage"] if move.old else "", move.row["stage"]
        if after != (before or Stage.PROSPECT.value):
            changes.append((move, before, after, move.why[:200]))
    if changes:
        rows = [(move.profile, now, before, after, why) for move, before, after, why in changes]
        insert("segments_stagechange", CHANGES, rows)
    return changes


def _with_live_orders(ids: Collection[int]) -> set[int]:
    """Those of the ids with at least one order fact that may trigger."""
    if not ids:
        return set()
    rows = Event.objects.filter(among("profile_id", ids), name__in=sorted(names.ORDER_FACTS), live=True).order_by()
    return set(rows.values_list("profile_id", flat=True).distinct())
