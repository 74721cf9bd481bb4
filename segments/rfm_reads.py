"""RFM as pages and programs show it: what each cell is worth and how much of that is at risk, and who moved where.

Grouped queries alone: what is read is as many rows as there are cells, whatever the population.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery, Sum, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce

from segments.facts.names import RFM_CHANGED
from segments.lifecycle import AWAY
from segments.models import Event, Scores
from segments.rfm import CELLS


@dataclass(frozen=True)
class CellValue:
    """One cell ("" for nobody's order in the window): people, their share of all scored, and net money of the window
    in minor units of the reporting currency. `at_risk` is the part of that money that comes from people whose stage
    is at risk or lapsed: what is lost if they do not return."""

    cell: str
    people: int
    share: float
    spent: int
    people_at_risk: int
    at_risk: int


@dataclass(frozen=True)
class Movement:
    """How many people went from one cell to another between two instants; "" is no cell. Who stayed is counted too."""

    counts: dict[tuple[str, str], int]

    def entered(self, cell: str) -> int:
        return sum(n for (before, after), n in self.counts.items() if after == cell != before)

    def left(self, cell: str) -> int:
        return sum(n for (before, after), n in self.counts.items() if before == cell != after)

    def stayed(self, cell: str) -> int:
        return self.counts.get((cell, cell), 0)


def value_at_risk() -> list[CellValue]:
    """One row for every cell, the best first, by one grouped query."""
    away = Q(stage__in=[stage.value for stage in AWAY])
    rows = Scores.objects.order_by().exclude(cell="").values("cell").annotate(
        people=Count("pk"), money=Coalesce(Sum("spent"), 0), gone=Count("pk", filter=away),
        lost=Coalesce(Sum("spent", filter=away), 0),
    )  # fmt: skip
    found = {row["cell"]: (row["people"], row["money"], row["gone"], row["lost"]) for row in rows}
    total = sum(people for people, *_ in found.values()) or 1
    cells = ((cell, *found.get(cell, (0, 0, 0, 0))) for cell in CELLS)
    return [CellValue(cell, people, people / total, money, gone, lost) for cell, people, money, gone, lost in cells]


def movement(*, since: datetime, until: datetime | None = None) -> Movement:
    """Who was in which cell at `since`, and at `until` (None: now).

    A cell at an instant is the one before the first change after it, or the present one if none followed. Two grouped
    queries: people who have changed since, and everybody, of whom the others stayed.
    """
    moved: Counter[tuple[str, str]] = Counter()
    still: Counter[str] = Counter()
    firsts = _changes(since).values("profile_id").annotate(first=Min("pk")).values("first")
    rows = (
        Event.objects.order_by()
        .filter(pk__in=firsts)
        .annotate(was=KT("properties__before"), present=F("profile__scores__cell"))
    )
    if until is not None:
        later = (
            _changes(until).filter(profile=OuterRef("profile")).order_by("pk").annotate(was=KT("properties__before"))
        )
        rows = rows.annotate(then=Coalesce(Subquery(later.values("was")[:1]), "present", output_field=TextField()))
    else:
        rows = rows.annotate(then=F("present"))
    for was, then, present, people in rows.values_list("was", "then", "present").annotate(n=Count("pk")):
        moved[was or "", then or ""] += people
        if present is not None:
            still[present] += people
    for cell, people in Scores.objects.order_by().values_list("cell").annotate(n=Count("pk")):
        moved[cell, cell] += people - still[cell]
    return Movement({pair: people for pair, people in moved.items() if people and pair != ("", "")})


def _changes(after: datetime) -> QuerySet[Event]:
    return Event.objects.filter(name=RFM_CHANGED, occurred_at__gt=after).order_by()
