"""How a row per person is kept up to date, whatever it holds: the people of new facts, a pass over everyone when the
rules are new, and those whose silence has passed a boundary. Each batch is a transaction of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import Model, QuerySet

from common.planner import plan_anew
from common.semijoin import among
from segments.facts.fact import Fact
from segments.models import Cursor

BATCH = 2000
ROUNDS = 40  # batches of one look; what is left is done at the next
Row = dict[str, Any]
M = TypeVar("M", bound=Model)
Step = Callable[[], int | None]  # one batch: how many rows were written, None when there was nothing left to look at


def in_rounds(step: Step, *, rounds: int | None = ROUNDS) -> int:
    """Repeat a batch until nothing is left (or so many times); returns how many rows were written."""
    total = 0
    while rounds is None or rounds > 0:
        wrote = step()
        if wrote is None:
            break
        total += wrote
        rounds = None if rounds is None else rounds - 1
    return total


def causes(facts: Sequence[Fact]) -> tuple[dict[int, bool], dict[int, int]]:
    """Of each person: whether any of the facts may trigger, and how deep their chain is."""
    live: dict[int, bool] = defaultdict(bool)
    depth: dict[int, int] = defaultdict(int)
    for fact in facts:
        live[fact.profile] |= fact.live
        depth[fact.profile] = max(depth[fact.profile], fact.depth)
    return live, depth


def in_batches(ids: Collection[int], judge: Callable[[Sequence[int]], int]) -> int:
    """Hand ordered ids on by BATCH; returns the sum of what came back. Rows are thus locked in one order."""
    ordered = sorted(ids)
    return sum(judge(ordered[start : start + BATCH]) for start in range(0, len(ordered), BATCH))


def next_of_everyone(
    reader: str, number: int, page: Callable[[int], tuple[int, int | None]], *, now: datetime
) -> int | None:
    """The next page of the pass that rules with this number start; None when it is over, or another has it.

    `page` works on the people after an id and returns how many rows it wrote and the last id it looked at (None:
    there was nobody).
    """
    with transaction.atomic():
        plan_anew()
        Cursor.objects.get_or_create(reader=reader, shard=0)
        cursor = _unlocked(Cursor.objects.filter(reader=reader, shard=0)).first()
        if cursor is None or cursor.tx > number:
            return None
        if cursor.tx < number:
            cursor.tx, cursor.position = number, 0
        wrote, last = page(cursor.position)
        cursor.position, cursor.moved_at = last or cursor.position, now
        cursor.save(update_fields=["tx", "position", "moved_at"])
        return None if last is None else wrote


def next_of_silent(model: type[Model], judge: Callable[[list[int]], int], *, now: datetime) -> int | None:
    """Judge the next people whose row (of a model with `next_change_at`) names an instant that has passed; None when
    there is nobody left."""
    rows = model._default_manager.filter(next_change_at__lte=now)
    with transaction.atomic():
        plan_anew()
        ids = list(_unlocked(rows.order_by("next_change_at")).values_list("pk", flat=True)[:BATCH])
        if not ids:
            return None
        wrote = judge(ids)
        rows.filter(among("pk", ids)).update(next_change_at=None)
        return wrote


def locked_rows(model: type[Model], ids: Sequence[int], names: Sequence[str]) -> dict[int, Row]:
    """The rows of these people as they stand, locked in the order of their ids until the transaction ends."""
    plan_anew()
    rows = model._default_manager.filter(among("pk", ids)).order_by("pk")
    if connection.features.has_select_for_update:
        rows = rows.select_for_update()
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows.values_list("pk", *names)}


def _unlocked(rows: QuerySet[M]) -> QuerySet[M]:
    """Locked, leaving out what another process holds."""
    return rows.select_for_update(skip_locked=True) if connection.features.has_select_for_update_skip_locked else rows
