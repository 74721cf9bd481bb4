"""A segment at work: its rule read, its row locked, its run begun and ended, its difference written."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models.functions import Coalesce

from common.clock import database_now
from common.periods import local_date, zone
from common.states import move
from segments.facts.fact import Position
from segments.models import Membership, Segment, SegmentRun
from segments.refresh.candidates import Choice, Since, causes, names_read
from segments.refresh.difference import enter, leave, tell
from segments.rules.compile import reads_of
from segments.rules.operators import At, Drift, Reads
from segments.rules.parse import parse_rule
from segments.rules.tree import Rule

SLICE = 5000
AT_ONCE = 10_000  # more people are not moved in one transaction, so that none lasts
LOST = timedelta(minutes=10)  # without a sign of life
RUNNING = SegmentRun.State.RUNNING


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
        asked = (row.rule_number, row.built_number, row.fire_on_build)
        return (*asked, row.cursor_tx, row.cursor_position, row.evaluated_at)

    def since(self, upto: Position) -> Since:
        cursor = Position(self.segment.cursor_tx, self.segment.cursor_position)
        return Since(cursor, max(cursor, upto), self.segment.evaluated_at or self.at.now, self.at.now)


def read_task(segment: Segment, now: datetime) -> Task:
    rule = parse_rule(segment.rule)
    return Task(segment, rule, reads_of(rule), At(now, zone(settings.WORKSPACE_ZONE)))


def lock(pk: int, *, wait: bool) -> Segment | None:
    """The segment's row, locked; None when another refresh has it and we do not `wait`."""
    rows = Segment.objects.filter(pk=pk)
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=not wait, no_key=True)
    return rows.first()


def is_under_way(segment: Segment) -> bool:
    """Whether a worker is on a pass over everyone; one that fell silent is declared lost. Call with the row locked."""
    now = database_now()
    running = SegmentRun.objects.filter(segment=segment, state=RUNNING)
    lost = running.alias(seen=Coalesce("seen_at", "started_at")).filter(seen__lt=now - LOST)
    move(lost, SegmentRun.MOVES, SegmentRun.State.FAILED, error="the worker stopped", finished_at=now)
    return running.exists()


def beat(run: SegmentRun, **also: Any) -> None:
    """A sign of life of the pass, with what it has to show so far."""
    SegmentRun.objects.filter(pk=run.pk, state=RUNNING).update(seen_at=database_now(), **also)


def whole_choice(task: Task) -> Choice | None:
    """Whether everyone must be looked at whatever has changed, and why."""
    row = task.segment
    if row.built_number != row.rule_number or row.evaluated_at is None:
        return Choice(SegmentRun.Why.RULE)
    here = task.at.zone
    if task.reads.drift is Drift.DAILY and local_date(row.evaluated_at, here) != local_date(task.at.now, here):
        return Choice(SegmentRun.Why.DAY)
    return None


def write(
    task: Task, run: SegmentRun, since: Since, coming: Collection[int], going: Collection[int], report: Refreshed,
    *, fire: bool,
) -> Refreshed:  # fmt: skip
    """Write one batch of the difference with its facts; returns the report with it added."""
    entered, left = enter(task.segment, coming, now=task.at.now), leave(task.segment, going)
    if fire:
        for batch in batches([*entered, *left], SLICE):
            why = causes(names_read(task.rule), since, batch) if task.segment.evaluated_at else {}
            some = set(batch)
            tell(
                task.segment, run, some & set(entered), some & set(left), causes=why, now=task.at.now
            )  # fmt: skip
    return replace(report, entered=report.entered + len(entered), left=report.left + len(left))


def start(task: Task, mode: SegmentRun.Mode, choice: Choice) -> SegmentRun:
    now = database_now()
    return SegmentRun.objects.create(
        segment=task.segment, mode=mode, why=choice.why, estimated=choice.estimated, threshold=choice.threshold,
        as_of=task.at.now, started_at=now, seen_at=now, size=task.segment.size,
    )  # fmt: skip


def end(run: SegmentRun, report: Refreshed, *, size: int) -> None:
    counts: dict[str, Any] = {"candidates": report.candidates, "entered": report.entered, "left": report.left}
    own = SegmentRun.objects.filter(pk=run.pk)
    move(own, SegmentRun.MOVES, SegmentRun.State.DONE, finished_at=database_now(), progress=100, size=size, **counts)


def arrive(task: Task, since: Since, **also: Any) -> None:
    """Move the segment's cursor and its `now`, and with them whatever else of it has changed."""
    Segment.objects.filter(pk=task.segment.pk).update(
        cursor_tx=since.upto.tx, cursor_position=since.upto.id, evaluated_at=since.now, refreshed_at=since.now,
        last_error="", **also,
    )  # fmt: skip


def count_members(segment: Segment) -> int:
    """How many there are, when none was written ahead: every row counts then."""
    return Membership.rows.filter(segment=segment).count()


def batches(ids: Any, size: int) -> Iterable[Any]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
