"""Everybody at a glance by scores: the RFM grid and cells with their money and movement, the flow between stages.

Counted from the current rows and the log. What RFM itself works out about movement and value at risk belongs to RFM;
these are plain counts for the page, in one function each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, QuerySet, Sum
from django.db.models.fields.json import KeyTextTransform

from segments.facts.names import RFM_CHANGED
from segments.models import Event, Scores, StageChange
from segments.models.known import STAGES, Stage
from segments.rfm import CELL_OF

CELLS = list(dict.fromkeys(CELL_OF[f"{r}{f}"] for r in "54321" for f in "54321"))
OCTANTS = [f"{much}_{way}" for much in ("key", "common") for way in ("value", "growth", "keep", "win_back")]
SLIPPING = ("need_attention", "about_to_sleep", "at_risk", "cant_lose")
FILTERS = ("cell", "octant", "stage", "r", "f", "m")


@dataclass(frozen=True)
class Tally:
    """People, and what they spent in the window (minor units of the reporting currency)."""

    people: int = 0
    spent: int = 0


@dataclass(frozen=True)
class Move:
    """How many went from one place to another; "" is nowhere (not scored yet, or nothing bought in the window)."""

    before: str
    after: str
    people: int


def by_cell() -> dict[str, Tally]:
    """The eleven cells; a cell without people counts 0."""
    return _tallied("cell", CELLS)


def by_octant() -> dict[str, Tally]:
    return _tallied("octant", OCTANTS)


def by_grid() -> dict[tuple[int, int], Tally]:
    """Recency by frequency, each from 1 to 5."""
    rows = Scores.objects.exclude(r=None).order_by().values_list("r", "f").annotate(n=Count("pk"), spent=Sum("spent"))
    found = {(r, f): Tally(people, spent or 0) for r, f, people, spent in rows}
    return {(r, f): found.get((r, f), Tally()) for r in range(5, 0, -1) for f in range(1, 6)}


def rfm_moves(*, since: datetime, until: datetime) -> list[Move]:
    """Changes of cell by the log, the most frequent first; who only changed scores inside a cell did not move."""
    facts = Event.objects.filter(name=RFM_CHANGED, occurred_at__gt=since, occurred_at__lte=until).order_by()
    named = facts.annotate(was=KeyTextTransform("before", "properties"), now_in=KeyTextTransform("after", "properties"))
    rows = named.values_list("was", "now_in").annotate(n=Count("pk"))
    moves = [Move(was or "", now_in or "", people) for was, now_in, people in rows if (was or "") != (now_in or "")]
    return sorted(moves, key=lambda move: (-move.people, move.before, move.after))


def stage_moves(*, since: datetime, until: datetime) -> dict[tuple[str, str], int]:
    """From which stage to which, after `since` up to `until`; who was at none before was not scored."""
    rows = StageChange.objects.filter(at__gt=since, at__lte=until).order_by().values_list("before", "after")
    found: dict[tuple[str, str], int] = {}
    for before, after, people in rows.annotate(n=Count("pk")):
        here = (before if before in STAGES else "", after)
        if after in STAGES:
            found[here] = found.get(here, 0) + people
    return found


def net_of(moves: Sequence[Move]) -> dict[str, tuple[int, int]]:
    """(came, went) for each cell."""
    found: dict[str, tuple[int, int]] = {}
    for move in moves:
        for cell, came, went in ((move.after, move.people, 0), (move.before, 0, move.people)):
            had = found.get(cell, (0, 0))
            found[cell] = (had[0] + came, had[1] + went)
    return found


def scored_people(where: Mapping[str, Any], *, after: int = 0, limit: int = 40) -> list[Scores]:
    """People with these scores, in the order of their ids, from the one after `after`; `where` has keys of FILTERS."""
    rows: QuerySet[Scores] = Scores.objects.filter(**where, pk__gt=after).select_related("profile")
    return list(rows.order_by("pk")[:limit])


def rule_of(where: Mapping[str, Any]) -> dict[str, Any]:
    """The same question as a segment's rule."""
    parts: list[dict[str, Any]] = []
    for name, listed in (("cell", "cells"), ("octant", "octants")):
        if name in where:
            parts.append({"op": "rfm_cell", "params": {listed: [where[name]]}})
    bounds = {f"{axis}_{end}": where[axis] for axis in "rfm" if axis in where for end in ("min", "max")}
    if bounds:
        parts.append({"op": "rfm_score", "params": bounds})
    if "stage" in where:
        parts.append({"op": "stage", "params": {"stages": [where["stage"]]}})
    return parts[0] if len(parts) == 1 else {"all": parts}


def read_filters(given: Mapping[str, str]) -> dict[str, Any]:
    """What an address asks for, as far as it can be asked; anything else is left out."""
    allowed: dict[str, Sequence[str]] = {
        "cell": CELLS, "octant": OCTANTS, "stage": Stage.values, **dict.fromkeys("rfm", "12345"),
    }  # fmt: skip
    found = {name: given[name] for name in FILTERS if given.get(name, "") in allowed[name] and given.get(name)}
    return {name: int(value) if name in "rfm" else value for name, value in found.items()}


def _tallied(column: str, names: Sequence[str]) -> dict[str, Tally]:
    rows = Scores.objects.order_by().values_list(F(column)).annotate(n=Count("pk"), spent=Sum("spent"))
    found = {name: Tally(people, spent or 0) for name, people, spent in rows}
    return {name: found.get(name, Tally()) for name in names}
