"""Exchanging many members at once: their rows are written ahead in batches, and one number makes them count.

A row counts from one generation of its segment on and until another. A pass that moves more people than one short
transaction can hold writes whoever comes for the next generation, and marks whoever goes to count no longer then; none
of it is seen. The exchange is one small transaction that raises the segment's generation and moves its cursor. Then the
moves are stated as facts, if they are to be, and the rows of those who went are cleared away, in batches again.
Whatever falls in between, the next refresh settles first: before the exchange what was written ahead is taken back,
after it the rest is done.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from common.faults import faultpoint
from common.semijoin import among
from segments.facts.fact import Position
from segments.models import Membership, Segment, SegmentRun
from segments.refresh.candidates import Cause, Since, causes, names_read
from segments.refresh.difference import come_with, go_with, tell
from segments.refresh.task import SLICE, Task, is_under_way, lock

GOING = Q(counts_until__isnull=False)


def open_stage(task: Task, run: SegmentRun, since: Since, *, fire: bool) -> int:
    """Note that rows are written for the segment's next generation, which is returned, and what their facts need."""
    generation = task.segment.generation + 1
    Segment.objects.filter(pk=task.segment.pk).update(staged=generation)
    SegmentRun.objects.filter(pk=run.pk).update(generation=generation, telling=_telling(task, since) if fire else None)
    return generation


def stage(task: Task, generation: int, coming: Collection[int], going: Collection[int]) -> tuple[int, int]:
    """Write one batch ahead; returns how many will come and go with that generation."""
    faultpoint("refresh.stage")
    came = come_with(task.segment, coming, generation=generation, now=task.at.now)
    return len(came), len(go_with(task.segment, going, generation=generation))


def settle(pk: int) -> bool:
    """Take back what a pass wrote ahead and did not make count, or finish what it did; False while one is under way.

    Batches of short transactions; another worker may be at it too. Those who were found are looked for once more from
    the start, since a merge may have handed one of them on meanwhile.
    """
    last = 0
    while True:
        faultpoint("refresh.settle")
        with transaction.atomic():
            segment = lock(pk, wait=True)
            if segment is None or segment.staged is None:
                return True
            if is_under_way(segment):
                return False
            found = _settle_some(segment, last)
            if not found and not last:
                Segment.objects.filter(pk=pk).update(staged=None)
                return True
            last = max(found, default=0)


def _settle_some(segment: Segment, last: int) -> list[int]:
    """Settle the next batch of people above the id `last`; returns their ids."""
    if segment.staged > segment.generation:  # type: ignore[operator]
        return _take_back(segment, last)
    run = SegmentRun.objects.get(segment=segment, generation=segment.staged, state=SegmentRun.State.DONE)
    return _finish_silently(segment, last) if run.telling is None else _tell_and_finish(segment, run, last)


def _take_back(segment: Segment, last: int) -> list[int]:
    """The exchange never came: whoever was to come does not, and whoever was to go stays."""
    ahead = Q(counts_from__gt=segment.generation)
    page, some = _page(segment, ahead | GOING, last)
    some.filter(ahead).delete()
    some.filter(GOING).update(counts_until=None)
    return list(page)


def _finish_silently(segment: Segment, last: int) -> list[int]:
    page, some = _page(segment, GOING, last)
    some.delete()
    return list(page)


def _tell_and_finish(segment: Segment, run: SegmentRun, last: int) -> list[int]:
    """Whoever came is an ordinary member once that is stated."""
    page, some = _page(segment, GOING | Q(counts_from=segment.generation), last)
    came, went = ([pk for pk, until in page.items() if (until is not None) is gone] for gone in (False, True))
    tell(segment, run, came, went, causes=_causes(segment, run, page), now=run.as_of)
    some.filter(GOING).delete()
    some.update(counts_from=0)
    return list(page)


def _page(segment: Segment, which: Q, last: int) -> tuple[dict[int, int | None], QuerySet[Membership]]:
    """The next people whose rows are to be settled, with the generation they go with, and their rows."""
    rows = Membership.rows.filter(segment=segment)
    found = rows.filter(which, profile__gt=last).order_by("profile_id")[:SLICE]
    page = dict(found.values_list("profile_id", "counts_until"))
    return page, rows.filter(among("profile_id", list(page)))


def _telling(task: Task, since: Since) -> dict[str, Any]:
    """What the facts about the moves are made of: whose news may have caused them, and where it begins in the log."""
    begins = [since.cursor.tx, since.cursor.id] if task.segment.evaluated_at else None
    return {"names": sorted(names_read(task.rule)), "from": begins}


def _causes(segment: Segment, run: SegmentRun, ids: Collection[int]) -> dict[int, Cause]:
    """As the pass would have found them: the cursor stands where it put it, since nobody refreshes before this."""
    said = run.telling or {}
    if not said.get("from"):
        return {}
    upto = Position(segment.cursor_tx, segment.cursor_position)
    since = Since(Position(*said["from"]), upto, run.as_of, run.as_of)
    return causes(frozenset(said["names"]), since, ids)
