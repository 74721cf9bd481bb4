"""Everybody at a glance by scores: the RFM grid and quadrants, the people behind a number, the rule that finds them.

Value at risk, movement and the flow between stages are read by segments.rfm_reads and segments.stage_reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet, Sum

from segments.models import Scores
from segments.models.known import Band, Stage
from segments.rfm import CELLS

OCTANTS = [f"{much}_{way}" for much in ("key", "common") for way in ("value", "growth", "keep", "win_back")]
FILTERS = {
    "cell": "cell",
    "octant": "octant",
    "stage": "stage",
    "band": "profile__health__band",
    **dict(zip("rfm", "rfm", strict=True)),
}


@dataclass(frozen=True)
class Tally:
    """People, and what they spent in the window (minor units of the reporting currency)."""

    people: int = 0
    spent: int = 0


def by_octant() -> dict[str, Tally]:
    """The eight quadrants; one without people counts 0."""
    rows = Scores.objects.order_by().values_list("octant").annotate(n=Count("pk"), spent=Sum("spent"))
    found = {name: Tally(people, spent or 0) for name, people, spent in rows}
    return {name: found.get(name, Tally()) for name in OCTANTS}


def by_grid() -> dict[tuple[int, int], Tally]:
    """Recency by frequency, each from 1 to 5."""
    rows = Scores.objects.exclude(r=None).order_by().values_list("r", "f").annotate(n=Count("pk"), spent=Sum("spent"))
    found = {(r, f): Tally(people, spent or 0) for r, f, people, spent in rows}
    return {(r, f): found.get((r, f), Tally()) for r in range(5, 0, -1) for f in range(1, 6)}


def scored_people(where: Mapping[str, Any], *, after: int = 0, limit: int = 40) -> list[Scores]:
    """People with these scores, in the order of their ids, from the one after `after`; `where` has keys of FILTERS."""
    asked = {FILTERS[name]: value for name, value in where.items()}
    rows: QuerySet[Scores] = Scores.objects.filter(**asked, pk__gt=after).select_related("profile")
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
    if "band" in where:
        parts.append({"op": "health", "params": {"bands": [where["band"]]}})
    return parts[0] if len(parts) == 1 else {"all": parts}


def read_filters(given: Mapping[str, str]) -> dict[str, Any]:
    """What an address asks for, as far as it can be asked; anything else is left out."""
    allowed: dict[str, Sequence[str]] = {
        "cell": tuple(CELLS), "octant": OCTANTS, "stage": Stage.values, "band": Band.values,
        **dict.fromkeys("rfm", "12345"),
    }  # fmt: skip
    found = {name: given[name] for name in FILTERS if given.get(name, "") in allowed[name] and given.get(name)}
    return {name: int(value) if name in "rfm" else value for name, value in found.items()}
