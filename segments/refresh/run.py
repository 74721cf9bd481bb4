"""Refreshing segments: which pass is due, in which order, and what is kept of it."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from common.clock import database_now, is_postgres
from common.params import Invalid
from common.periods import local_date, zone
from common.semijoin import among, has
from common.states import move
from segments.facts.fact import Position
from segments.facts.names import MERGED
from segments.facts.position import horizon
from segments.models import Membership, Segment, SegmentRun
from segments.refresh.candidates import Since, causes, changed, find_candidates, most_candidates, names_read
from segments.refresh.difference import enter, leave, tell
from segments.rules.compile import matching, people, reads_of
from segments.rules.operators import At, Drift, Reads
from segments.rules.order import in_order, prove_rule, read_by
from segments.rules.parse import parse_rule
from segments.rules.tree import Rule

log = logging.getLogger(__name__)
BATCH = 2000
SLICE = 5000
LOST = timedelta(minutes=10)
DONE, RUNNING = SegmentRun.State.DONE, SegmentRun.State.RUNNING


@dataclass(frozen=True)
class Refreshed:
    """What one refresh did: `mode` is changed, full, build or "busy" (another worker has it); counts of people."""

    segment: str
    mode: str
    candidates: int = 0
    entered: int = 0
    left: int = 0
    error: str = ""


@dataclass(frozen=True)
class Task:
    """A segment with its rule read, at one moment."""

    segment: Segment
    rule: Rule
    reads: Reads
    at: At

    @property
    def number(self) -> tuple[Any, ...]:
        """What must be as it was when the work began, for a batch of it to be written."""
        row = self.segment
        return (row.rule_number, row.built_number, row.cursor_tx, row.cursor_position, row.evaluated_at)

    def since(self, upto: Position) -> Since:
        cursor = Position(self.segment.cursor_tx, self.segment.cursor_position)
        return Since(cursor, max(cursor, upto), self.segment.evaluated_at or self.at.now, self.at.now)


def refresh_due(now: datetime) -> list[Refreshed]:
    """Refresh every active segment, those that others read first. A failing one is noted and the rest go on."""
    rows = {row.key: row for row in Segment.objects.filter(state=Segment.State.ACTIVE)}
    done = []
    for key in in_order(read_by((row.key, row.rule) for row in rows.values())):
        try:
            done.append(refresh_segment(rows[key], now))
        except Exception as error:
            log.exception("segment %s could not be refreshed", key)
            done.append(Refreshed(key, "failed", error=_said(error)))
    return done


def refresh_segment(segment: Segment, now: datetime) -> Refreshed:
    """Bring one segment's members up to `now`, by the cheapest pass that is right.

    The segment's cursor, its `now`, the difference and its facts are committed together; a pass over everyone is
    written in batches, the cursor with the last. Raises what went wrong after noting it on the segment.
    """
    try:
        report = _refresh_changed(segment.pk, now)
        if report is not None:
            return report
        return _refresh_everyone(segment.pk, now)
    except Exception as error:
        _note_failure(segment, error, now)
        raise


def change_rule(segment: Segment, raw: Any, *, fire: bool = False) -> Segment:
    """Give a segment a new rule; it is rebuilt at the next refresh, silently unless `fire`. Raises Invalid."""
    prove_rule(raw, key=segment.key)
    segment.rule, segment.fire_on_build = raw, fire
    segment.rule_number += 1
    segment.save(update_fields=["rule", "fire_on_build", "rule_number"])
    return segment


def cancel_run(run: SegmentRun) -> bool:
    """Stop a build under way and pause its segment, which would begin again otherwise. False if it had ended."""
    with transaction.atomic():
        if not move(SegmentRun.objects.filter(pk=run.pk), SegmentRun.MOVES, SegmentRun.State.CANCELLED):
            return False
        move(Segment.objects.filter(pk=run.segment_id), Segment.MOVES, Segment.State.PAUSED)
        return True


def _refresh_changed(pk: int, now: datetime) -> Refreshed | None:
    """The pass over those who may have changed, in one transaction; None when everyone must be looked at."""
    with transaction.atomic():
        segment = _lock(pk, wait=False)
        if segment is None:
            return Refreshed(str(pk), "busy")
        task = _task(segment, now)
        if _whole_mode(task) is not None:
            return None
        _plan_for_few()
        since = task.since(horizon())
        ids = find_candidates(task.rule, since, most=most_candidates())
        if ids is None:
            return None
        entering, leaving = _difference(task, ids)
        report = Refreshed(segment.key, "changed", candidates=len(ids))
        if entering or leaving:
            run = _start(task, SegmentRun.Mode.CHANGED)
            report = _write(task, run, since, entering, leaving, report, fire=True)
            _end(task, run, report)
        merged = bool(ids) and changed(frozenset({MERGED}), since).exists()
        _arrive(task, since, resized=bool(entering or leaving or merged))
        return report


def _refresh_everyone(pk: int, now: datetime) -> Refreshed:
    """The pass over everyone: the difference is read without a lock, and written in batches."""
    with transaction.atomic():
        segment = _lock(pk, wait=False)
        if segment is None or _is_under_way(segment):
            return Refreshed(segment.key if segment else str(pk), "busy")
        task = _task(segment, now)
        mode = _whole_mode(task) or SegmentRun.Mode.FULL
        run = _start(task, mode)
    since = task.since(horizon())
    entering, leaving = _whole_difference(task)
    report = Refreshed(segment.key, str(mode), candidates=len(entering) + len(leaving))
    fire = mode != SegmentRun.Mode.BUILD or segment.fire_on_build
    total, done = max(1, len(entering) + len(leaving)), 0
    for coming, going in _slices(entering, leaving):
        with transaction.atomic():
            if not _may_write(task, run):
                return _abandon(run, report)
            report = _write(task, run, since, coming, going, report, fire=fire)
            done += len(coming) + len(going)
            SegmentRun.objects.filter(pk=run.pk).update(progress=100 * done // total)
    with transaction.atomic():
        if not _may_write(task, run):
            return _abandon(run, report)
        _end(task, run, report)
        _arrive(task, since, resized=True, built=True)
        if not fire and (report.entered or report.left):
            _rebuild_readers(segment.key)
    return report


def _lock(pk: int, *, wait: bool) -> Segment | None:
    """The segment's row, locked; None when another refresh has it and we do not `wait`."""
    rows = Segment.objects.filter(pk=pk)
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=not wait, no_key=True)
    return rows.first()


def _plan_for_few() -> None:
    """Until the end of the transaction PostgreSQL plans for a few people among many: no code is compiled for a
    query of milliseconds, and a random page costs what it costs on solid state."""
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('jit', 'off', true), set_config('random_page_cost', '1.1', true)")


def _task(segment: Segment, now: datetime) -> Task:
    rule = parse_rule(segment.rule)
    return Task(segment, rule, reads_of(rule), At(now, zone(settings.WORKSPACE_ZONE)))


def _whole_mode(task: Task) -> SegmentRun.Mode | None:
    """Whether everyone must be looked at whatever has changed, and as what."""
    row = task.segment
    if row.built_number != row.rule_number or row.evaluated_at is None:
        return SegmentRun.Mode.BUILD
    here = task.at.zone
    if task.reads.drift is Drift.DAILY and local_date(row.evaluated_at, here) != local_date(task.at.now, here):
        return SegmentRun.Mode.FULL
    return None


def _difference(task: Task, ids: Collection[int]) -> tuple[list[int], list[int]]:
    """Who of the candidates enters, and who leaves."""
    entering: list[int] = []
    leaving: list[int] = []
    for batch in _batches(sorted(ids), BATCH):
        now_in = matching(task.rule, batch, task.at)
        members = Membership.objects.filter(among("profile_id", batch), segment=task.segment)
        was_in = set(members.values_list("profile_id", flat=True))
        entering += now_in - was_in
        leaving += was_in - now_in
    return entering, leaving


def _whole_difference(task: Task) -> tuple[array[int], array[int]]:
    """The same for everyone, by two anti-joins; ids are kept as eight bytes each."""
    members = Membership.objects.filter(segment=task.segment)
    inside = people(task.rule, task.at)
    entering = inside.exclude(has(members, None)).values_list("pk", flat=True)
    held = members.exclude(has(inside, None, by="pk", on="profile_id")).values_list("profile_id", flat=True)
    return array("q", entering.iterator(chunk_size=SLICE)), array("q", held.iterator(chunk_size=SLICE))


def _write(
    task: Task, run: SegmentRun, since: Since, coming: Collection[int], going: Collection[int], report: Refreshed,
    *, fire: bool,
) -> Refreshed:  # fmt: skip
    """Write one batch of the difference with its facts; returns the report with it added."""
    entered, left = enter(task.segment, coming, now=task.at.now), leave(task.segment, going)
    if fire:
        for batch in _batches([*entered, *left], SLICE):
            why = causes(names_read(task.rule), since, batch) if task.segment.evaluated_at else {}
            some = set(batch)
            tell(
                task.segment, run, some & set(entered), some & set(left), causes=why, now=task.at.now
            )  # fmt: skip
    return replace(report, entered=report.entered + len(entered), left=report.left + len(left))


def _start(task: Task, mode: SegmentRun.Mode) -> SegmentRun:
    return SegmentRun.objects.create(
        segment=task.segment, mode=mode, as_of=task.at.now, started_at=database_now(), size=task.segment.size
    )


def _end(task: Task, run: SegmentRun, report: Refreshed) -> None:
    counts: dict[str, Any] = {"candidates": report.candidates, "entered": report.entered, "left": report.left}
    move(
        SegmentRun.objects.filter(pk=run.pk),
        SegmentRun.MOVES,
        DONE,
        finished_at=database_now(),
        progress=100,
        size=Membership.objects.filter(segment=task.segment).count(),
        **counts,
    )


def _arrive(task: Task, since: Since, *, resized: bool, built: bool = False) -> None:
    """Move the segment's cursor and its `now`; with a build, its rule is answered."""
    values: dict[str, Any] = {
        "cursor_tx": since.upto.tx,
        "cursor_position": since.upto.id,
        "evaluated_at": since.now,
        "refreshed_at": since.now,
        "last_error": "",
    }
    if resized:
        values["size"] = Membership.objects.filter(segment=task.segment).count()
    if built:
        values |= {"built_number": task.segment.rule_number, "fire_on_build": False}
    Segment.objects.filter(pk=task.segment.pk).update(**values)


def _may_write(task: Task, run: SegmentRun) -> bool:
    """Whether the segment is as it was when this pass began, and nobody has stopped the pass."""
    segment = _lock(task.segment.pk, wait=True)
    if segment is None or replace(task, segment=segment).number != task.number:
        return False
    return SegmentRun.objects.filter(pk=run.pk, state=RUNNING).exists()


def _abandon(run: SegmentRun, report: Refreshed) -> Refreshed:
    """The rule changed, another pass was quicker, or somebody stopped this one; the next refresh goes on."""
    counts: dict[str, Any] = {"entered": report.entered, "left": report.left, "finished_at": database_now()}
    move(SegmentRun.objects.filter(pk=run.pk), SegmentRun.MOVES, SegmentRun.State.CANCELLED, **counts)
    return replace(report, mode="cancelled")


def _is_under_way(segment: Segment) -> bool:
    """Whether another worker is on a pass over everyone; one that fell silent is declared lost."""
    running = SegmentRun.objects.filter(segment=segment, state=RUNNING)
    lost = running.filter(started_at__lt=database_now() - LOST)
    move(lost, SegmentRun.MOVES, SegmentRun.State.FAILED, error="the worker stopped", finished_at=database_now())
    return running.exists()


def _rebuild_readers(key: str) -> None:
    """A silent build told nobody, so the segments that read this one are built again, silently too."""
    inner = read_by(Segment.objects.values_list("key", "rule"))
    Segment.objects.filter(key__in=[outer for outer, read in inner.items() if key in read]).update(built_number=0)


def _note_failure(segment: Segment, error: Exception, now: datetime) -> None:
    said = _said(error)
    Segment.objects.filter(pk=segment.pk).update(last_error=said)
    ended: dict[str, Any] = {"error": said, "finished_at": database_now()}
    if not move(
        SegmentRun.objects.filter(segment=segment, state=RUNNING), SegmentRun.MOVES, SegmentRun.State.FAILED, **ended
    ):
        mode = SegmentRun.Mode.CHANGED if segment.built_number == segment.rule_number else SegmentRun.Mode.BUILD
        SegmentRun.objects.create(
            segment=segment, mode=mode, state=SegmentRun.State.FAILED, as_of=now, started_at=database_now(), **ended
        )


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, Invalid) else f"{type(error).__name__}: {error}"[:2000]


def _slices(entering: array[int], leaving: array[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Batches of those who enter, then of those who leave."""
    for batch in _batches(entering, SLICE):
        yield list(batch), []
    for batch in _batches(leaving, SLICE):
        yield [], list(batch)


def _batches(ids: Any, size: int) -> Iterable[Any]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
