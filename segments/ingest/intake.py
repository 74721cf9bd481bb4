"""The verb: calls of one source in, one result for each out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from segments.ingest.call import Call
from segments.ingest.flush import Flushed, flush_safely
from segments.ingest.limits import CALL_BYTES, Refused, RowResult
from segments.ingest.read import Reading, read_call
from segments.ingest.rejects import Reject, store_rejects
from segments.ingest.times import skew_of
from segments.models import Source

SEEN_EVERY = timedelta(minutes=1)


def ingest(
    calls: Sequence[Any],
    *,
    source: Source,
    now: datetime,
    historical: bool = False,
    sent_at: Any = None,
    size: int | None = None,
) -> list[RowResult]:
    """Take in up to 500 calls of the Segment spec (or PostHog's form); one result for each, in order.

    `historical` facts start nothing. `sent_at` is the sender's clock when it sent, against which times are
    corrected. `size` is the bytes of the whole request, if known. Wrong rows fail alone and are kept.
    """
    reading = Reading(
        now=now,
        skew=skew_of(sent_at, now),
        historical=historical,
        lenient=source.lenient,
        browser=source.browser,
        weigh=size is None or size > CALL_BYTES,
    )
    read, rejects = read_calls(calls, reading)
    flushed = flush_safely(read, source=source.pk, now=now) if read else Flushed(frozenset(), frozenset(), ())
    rejects += flushed.rejects
    if rejects or source.last_seen_at is None or source.last_seen_at < now - SEEN_EVERY:
        with transaction.atomic():
            store_rejects(rejects, source=source.pk, now=now)
            see_source(source, now=now)
    return results(len(calls), flushed, rejects)


def read_calls(rows: Iterable[Any], reading: Reading) -> tuple[list[Call], list[Reject]]:
    """The rows that are well and those that are not."""
    read: list[Call] = []
    rejects: list[Reject] = []
    for index, row in enumerate(rows):
        try:
            read.append(read_call(row, index, reading))
        except Refused as refused:
            rejects.append(Reject(index, row, refused))
    return read, rejects


def results(count: int, flushed: Flushed, rejects: Iterable[Reject]) -> list[RowResult]:
    """One result for each row, in order."""
    found = [RowResult(index, "known" if index in flushed.known else "stored") for index in range(count)]
    for reject in rejects:
        found[reject.index] = reject.result
    return found


def see_source(source: Source, *, now: datetime) -> None:
    """Note that the source lives, at most once a minute."""
    if source.last_seen_at is None or source.last_seen_at < now - SEEN_EVERY:
        Source.objects.filter(pk=source.pk).update(last_seen_at=now)
        source.last_seen_at = now
