"""Refused rows taken in again, after their cause was mended, by the very path they came: once, whatever is repeated.

A row is told at the time it was received; as history it starts nothing. One that is refused again keeps its place in
the list, with the new reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from django.db import transaction

from segments.imports.options import Options
from segments.imports.rows import RowReader
from segments.ingest.call import Call
from segments.ingest.check import MESSAGES, REPAIRABLE
from segments.ingest.flush import Flushed, flush_safely
from segments.ingest.limits import Refused
from segments.ingest.read import Reading, read_call
from segments.ingest.rejects import Reject
from segments.models import RejectedRow, Source
from segments.unfinished import in_pieces

PIECE = 500
MARKS = frozenset(f"<{code}>" for code in MESSAGES if code not in REPAIRABLE)
REPAIRED = REPAIRABLE - {"nul"} | {"unfaithful"}  # kept with U+FFFD in place of what was wrong
TEXT_ONLY = (".csv", ".tsv", ".txt")
DONE = ("stored", "known")


def replay(ids: Iterable[int], *, now: datetime, historical: bool = True) -> dict[str, int]:
    """Take these rows in again; returns how many came to what: stored, known, rejected, gone (replayed before)."""
    wanted = iter(sorted(set(ids)))
    counted: Counter[str] = Counter()
    while piece := list(islice(wanted, PIECE)):
        counted.update(in_pieces(partial(_whole, piece, now=now, historical=historical), now=now))
    return dict(counted)


def _whole(ids: Sequence[int], ahead: frozenset[int], *, now: datetime, historical: bool) -> list[str]:
    return list(_piece(ids, ahead, now=now, historical=historical))


def _piece(ids: Sequence[int], ahead: frozenset[int], *, now: datetime, historical: bool) -> Iterator[str]:
    with transaction.atomic():
        locked = RejectedRow.objects.filter(pk__in=ids).exclude(replayed_as__in=DONE).order_by("pk")
        rows = list(locked.select_for_update(no_key=True, of=("self",)).select_related("source", "job"))
        yield from ["gone"] * (len(ids) - len(rows))
        sources = {row.source_id: row.source for row in rows}
        for pk, source in sorted(sources.items()):
            mine = [row for row in rows if row.source_id == pk]
            yield from _take(source, mine, ahead, now=now, historical=historical)


def _take(
    source: Source, rows: Sequence[RejectedRow], ahead: frozenset[int], *, now: datetime, historical: bool
) -> list[str]:
    """Read and store the rows of one source, and write down what became of each."""
    calls: list[Call] = []
    refused: dict[int, Refused] = {}
    for index, row in enumerate(rows):
        try:
            calls.append(read_call(_call_of(row), index, _reading(source, row, historical)))
        except Refused as problem:
            refused[index] = problem
    flushed = Flushed(frozenset(), frozenset(), ())
    if calls:
        flushed = flush_safely(calls, source=source.pk, now=now, ahead=ahead)
    late: Iterable[Reject] = flushed.rejects
    refused |= {item.index: item.refused for item in late}
    for index, row in enumerate(rows):
        row.replayed_at, why = now, refused.get(index)
        row.replayed_as = "rejected" if why else "known" if index in flushed.known else "stored"
        if why:
            row.code, row.path, row.reason = why.code, why.path, why.message
    RejectedRow.objects.bulk_update(rows, ["replayed_at", "replayed_as", "code", "path", "reason"])
    return [row.replayed_as for row in rows]


def _reading(source: Source, row: RejectedRow, historical: bool) -> Reading:
    """As it was read at first, but with the source as it is set now."""
    return Reading(
        now=row.received_at,
        historical=historical or (row.job is not None and row.job.historical),
        lenient=source.lenient,
        browser=source.browser,
        by_address=row.job is not None,
    )


def _check_faithful(row: RejectedRow, said: Any) -> None:
    """Raises Refused when the stored text is not what was sent: a mark stands for what no database stores."""
    repaired = row.code in REPAIRED and not row.source.lenient
    todo, marked = [said], False
    while todo and not marked:
        value = todo.pop()
        todo += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        marked = isinstance(value, str) and value in MARKS
    if marked or repaired:
        raise Refused("unfaithful", row.path, "the row held what no database stores: mend it and send it again")


def _call_of(row: RejectedRow) -> Any:
    """The call that the stored text stands for. Raises Refused for text that was cut, and for grouped lines."""
    try:
        said = json.loads(row.payload)
    except ValueError:
        raise Refused("unreadable", "", "the stored row was cut short, or is no JSON: send it again") from None
    _check_faithful(row, said)
    if row.job is None:
        return said
    options = Options.of_job(row.job)
    if options.group_by:
        raise Refused("grouped", options.group_by, "lines of one order are imported together: import the file again")
    reader = RowReader(row.job.kind, options, typed=not row.job.file.lower().endswith(TEXT_ONLY))
    made = next(reader.calls(iter([(row.line or 1, said)])))[2]
    if isinstance(made, Refused):
        raise made
    return made
