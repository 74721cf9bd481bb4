"""The import itself: pieces of a file, each stored with its place in one transaction, so that a kill costs nothing."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from django.db import OperationalError, connection, transaction
from django.db.models import F

from common.faults import faultpoint
from common.params import Invalid, Problem
from common.states import move
from segments.imports.files import Reader, fingerprint, open_file
from segments.imports.options import Options, check_options
from segments.imports.rows import Made, RowReader
from segments.ingest.call import Call
from segments.ingest.flush import Flushed, flush_safely
from segments.ingest.limits import Refused
from segments.ingest.read import Reading, read_call
from segments.ingest.rejects import Reject, store_rejects, text_of
from segments.models import ImportJob, Source
from segments.unfinished import in_pieces

PIECE = 2000
KEPT = 10_000  # rejected rows kept in the database for one job; the rejects file has all
SHOWN = 20
TRIES = 3


@dataclass(frozen=True)
class Progress:
    """How far an import has come: rows of the file read, of about `total`, and what became of their calls."""

    done: int
    total: int | None
    stored: int
    known: int
    rejected: int


Tell = Callable[[Progress], None]


def make_job(
    path: Path, kind: str, source: Source, options: Options, *, historical: bool = True, dry_run: bool = False
) -> ImportJob:
    """A job for the file, once its mapping fits. Raises Invalid with every problem."""
    reader = open_file(path)
    check_options(kind, options, reader.columns)
    return ImportJob.objects.create(
        source=source,
        kind=kind,
        file=str(path),
        fingerprint=fingerprint(path),
        mapping=options.to_json(),
        historical=historical,
        dry_run=dry_run,
        rows_total=reader.total,
    )


def find_unfinished(path: Path, kind: str, source: Source, options: Options) -> ImportJob | None:
    """The last job that began this very file in this very way and did not end."""
    jobs = ImportJob.objects.filter(
        source=source,
        kind=kind,
        fingerprint=fingerprint(path),
        dry_run=False,
        state__in=["running", "failed", "cancelled"],
    )
    return next((job for job in jobs.order_by("-pk") if job.mapping == options.to_json()), None)


def run_import(
    job: ImportJob, *, now: datetime, progress: Tell | None = None, rejects: TextIO | None = None
) -> ImportJob:
    """Do, or go on with, a job; returns it as it ended. Raises Invalid when the file is not the one begun.

    `rejects` takes a JSON line for each refused row. Rows are stored in pieces of 2,000 calls, each in a
    transaction of about half a second that also moves `rows_done`.
    """
    path, options = Path(job.file), Options.of_job(job)
    if fingerprint(path) != job.fingerprint:
        raise Invalid([Problem("file", "the file has changed since the job was made")])
    reader = open_file(path)
    if not move(
        ImportJob.objects.filter(pk=job.pk), ImportJob.MOVES, "running", started_at=job.started_at or now, error=""
    ):
        raise Invalid([Problem("job", f"a job that is {job.state} cannot run")])
    job.refresh_from_db()
    try:
        with _frozen():
            _run(job, reader, options, now=now, progress=progress, rejects=rejects)
    except Exception as error:
        error_text = f"{type(error).__name__}: {error}"[:2000]
        move(ImportJob.objects.filter(pk=job.pk), ImportJob.MOVES, "failed", finished_at=now, error=error_text)
        raise
    if job.state == ImportJob.State.RUNNING:
        move(ImportJob.objects.filter(pk=job.pk), ImportJob.MOVES, "done", finished_at=now, report=job.report)
    job.refresh_from_db()
    return job


@contextmanager
def _frozen() -> Iterator[None]:
    """Keep what the process holds by now out of collections: rows come and go in thousands, and each collection
    would walk through all of Django once more (a third of an import's time in Python)."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _run(
    job: ImportJob, reader: Reader, options: Options, *, now: datetime, progress: Tell | None, rejects: TextIO | None
) -> None:
    rows = RowReader(job.kind, options, typed=reader.typed)
    made = rows.calls(reader.rows(options.columns(), skip=job.rows_done))
    reading = Reading(
        now=now,
        historical=job.historical,
        live_since=options.live_since,
        lenient=job.source.lenient,
        by_address=True,
        weigh=False,
    )
    codes: Counter[str] = Counter(job.report.get("codes", {}))
    for piece in _pieces(made):
        refused = _take(job, piece, reading, codes)
        if rejects is not None:
            rejects.writelines(_line(item) for item in refused)
            rejects.flush()
        if progress is not None:
            progress(Progress(job.rows_done, job.rows_total, job.rows_stored, job.rows_known, job.rows_rejected))
        if job.state != ImportJob.State.RUNNING:
            return


def _take(job: ImportJob, piece: list[Made], reading: Reading, codes: Counter[str]) -> list[Reject]:
    """Read and store one piece; counts are those of the committed transaction."""
    calls, refused = _read(piece, reading)
    lines = [line for line, _, _, _ in piece]

    def store(ahead: frozenset[int]) -> list[Reject]:
        with transaction.atomic():
            done = Flushed(frozenset(call.index for call in calls), frozenset(), ())
            if calls and not job.dry_run:
                done = flush_safely(calls, source=job.source_id, now=reading.now, ahead=ahead)
            late = [replace(item, line=lines[item.index]) for item in done.rejects]
            wrong = sorted([*refused, *late], key=lambda item: item.index)
            _note(job, sum(size for _, size, _, _ in piece), done, wrong, codes, now=reading.now)
        return wrong

    for attempt in range(TRIES):
        try:
            wrong = in_pieces(store, now=reading.now)
            faultpoint("import.committed")
            break
        except OperationalError as error:
            if attempt == TRIES - 1 or connection.in_atomic_block or "deadlock" not in str(error):
                raise
    job.refresh_from_db()
    return wrong


def _read(piece: list[Made], reading: Reading) -> tuple[list[Call], list[Reject]]:
    calls: list[Call] = []
    refused: list[Reject] = []
    for index, (line, _, made, raw) in enumerate(piece):
        try:
            if isinstance(made, Refused):
                raise made
            calls.append(read_call(made, index, reading))
        except Refused as problem:
            refused.append(Reject(index, raw, problem, line))
    return calls, refused


def _note(job: ImportJob, rows: int, done: Flushed, wrong: list[Reject], codes: Counter[str], *, now: datetime) -> None:
    """Move the job's place and counts in the piece's own transaction, and keep the first rejected rows."""
    if not job.dry_run and job.rows_rejected < KEPT:
        store_rejects(wrong[: KEPT - job.rows_rejected], source=job.source_id, now=now, job=job.pk)
    counted = codes + Counter(item.refused.code for item in wrong)
    shown = [*job.report.get("first", []), *({"line": w.line, **_said(w)} for w in wrong)][:SHOWN]
    ImportJob.objects.filter(pk=job.pk).update(
        rows_done=F("rows_done") + rows,
        rows_stored=F("rows_stored") + len(done.stored),
        rows_known=F("rows_known") + len(done.known),
        rows_rejected=F("rows_rejected") + len(wrong),
        report={"codes": dict(counted), "first": shown},
    )
    codes.clear()
    codes.update(counted)


def _pieces(made: Iterator[Made]) -> Iterator[list[Made]]:
    while piece := list(islice(made, PIECE)):
        yield piece


def _said(item: Reject) -> Mapping[str, Any]:
    return {"code": item.refused.code, "path": item.refused.path, "message": item.refused.message}


def _line(item: Reject) -> str:
    return json.dumps({"line": item.line, **_said(item), "row": text_of(item.raw)}, ensure_ascii=False) + "\n"
