"""Merges on their way: begun by a batch that names somebody very large, finished when nobody comes back for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Q

from segments.merge import merge
from segments.merge_pieces import Pair, begin, go_ahead
from segments.models import Merge, Profile
from segments.unmerge import root_of, undo

log = logging.getLogger(__name__)
QUIET = timedelta(minutes=10)  # nobody works on a merge that has not moved for so long
BY_INGEST = "ingest"
T = TypeVar("T")


class TooLarge(Exception):
    """These profiles have more facts than the merges of one transaction may move."""

    def __init__(self, pairs: list[Pair]) -> None:
        super().__init__(f"{len(pairs)} profiles must go ahead")
        self.pairs = pairs


def in_pieces(work: Callable[[frozenset[int]], T], *, now: datetime) -> T:
    """Do the work, which is told whose facts have gone ahead; those whom it finds too large are sent, and it is done
    again. The work is a transaction of its own, and what it raises has been rolled back."""
    ahead: frozenset[int] = frozenset()
    while True:
        try:
            return work(ahead)
        except TooLarge as large:
            for pair in large.pairs:
                send_ahead(pair, now=now)
            ahead |= {pair.gone for pair in large.pairs}


def send_ahead(pair: Pair, *, now: datetime) -> None:
    """Begin, or go on with, a merge that a batch asks for. One that was on its way to another person is taken back.

    Does nothing when the two may no longer be joined: the batch finds that out by itself.
    """
    begun = Merge.objects.filter(gone=pair.gone, undone_at=None, finished_at=None).first()
    if begun is not None and root_of(begun.into_id) != pair.into:
        _take_back(begun, now=now, why="the same visitor turned out to be somebody else")
    try:
        begin(pair, now=now, actor=BY_INGEST, reason="identify or alias by a trusted sender")
    except ValueError as error:
        log.info("merge of %s into %s was not begun: %s", pair.gone, pair.into, error)
        return
    go_ahead(pair, now=now)


def finish_merges(now: datetime) -> dict[str, int]:
    """Finish merges that somebody left half-way, or take back those that may no longer be."""
    still = Q(moved_at__lt=now - QUIET) | Q(moved_at=None, at__lt=now - QUIET)
    counts = {"finished": 0, "taken_back": 0, "failed": 0}
    for row in Merge.objects.filter(still, finished_at=None, undone_at=None).order_by("pk"):
        try:
            counts[_finish(row, now=now)] += 1
        except Exception:
            log.exception("merge %s can neither be finished nor taken back", row.pk)
            counts["failed"] += 1
            Merge.objects.filter(pk=row.pk).update(moved_at=now)  # again later, after the others
    return counts


def _finish(row: Merge, *, now: datetime) -> str:
    into = root_of(row.into_id)
    if into != row.into_id:  # what went ahead has moved on with whom it went to
        Merge.objects.filter(pk=row.pk).update(into=into)
    people = Profile.objects.in_bulk([row.gone_id, into])
    by_hand = row.actor_name != BY_INGEST
    try:
        merge(people[row.gone_id], people[into], now=now, actor=row.actor_name, reason=row.reason, force=by_hand)
    except ValueError as error:  # two known people, or somebody erased
        return "taken_back" if _take_back(row, now=now, why=str(error)) else "finished"
    return "finished"


def _take_back(row: Merge, *, now: datetime, why: str) -> bool:
    """Whether there was anything to take back: somebody else may have finished it meanwhile."""
    gone = Profile.objects.get(pk=row.gone_id)
    if gone.merged_into_id is not None or not Merge.objects.filter(pk=row.pk, undone_at=None).exists():
        return False
    undo(gone, now=now, actor=row.actor_name, reason=why)
    return True
