"""The pass over everyone: a build, a day's turn, or more candidates than are worth picking out."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from common.clock import database_now
from common.faults import faultpoint
from common.semijoin import has
from common.states import move
from segments.facts.position import horizon
from segments.models import Membership, Segment, SegmentRun
from segments.refresh.candidates import Choice, Since
from segments.refresh.staging import open_stage, settle, stage
from segments.refresh.task import (
    AT_ONCE,
    RUNNING,
    SLICE,
    Refreshed,
    Task,
    arrive,
    batches,
    beat,
    end,
    is_under_way,
    lock,
    read_task,
    start,
    whole_choice,
    write,
)
from segments.rules.compile import living, people
from segments.rules.order import read_by


@dataclass(frozen=True)
class Pass:
    """A pass over everyone that has begun: no other begins while its run shows signs of life."""

    task: Task
    run: SegmentRun

    @property
    def fires(self) -> bool:
        """Whether its moves are stated as facts: those of a build are only when a person confirmed it."""
        return self.run.mode != SegmentRun.Mode.BUILD or self.task.segment.fire_on_build

    @property
    def is_wanted(self) -> bool:
        """Whether the segment is as it was when this pass began, and nobody has stopped it; the row is locked."""
        segment = lock(self.task.segment.pk, wait=True)
        if segment is None or replace(self.task, segment=segment).number != self.task.number:
            return False
        return SegmentRun.objects.filter(pk=self.run.pk, state=RUNNING).exists()


def begin_everyone(pk: int, now: datetime, *, choice: Choice) -> Pass | Refreshed:
    """Begin a pass, or say that another worker has the segment."""
    with transaction.atomic():
        segment = lock(pk, wait=False)
        if segment is None or segment.staged is not None or is_under_way(segment):
            return Refreshed(segment.key if segment else str(pk), "busy")
        task = read_task(segment, now)
        choice = whole_choice(task) or choice
        mode = SegmentRun.Mode.BUILD if choice.why == SegmentRun.Why.RULE else SegmentRun.Mode.FULL
        return Pass(task, start(task, mode, choice))


def refresh_everyone(work: Pass) -> Refreshed:
    """The difference is read without a lock, and becomes the members' in one transaction: written there if it is
    small, and counted from there on if it was written ahead. Until then the old members serve, whole."""
    task, run = work.task, work.run
    since = task.since(horizon())
    entering, leaving = _whole_difference(task)
    beat(run)
    report = Refreshed(task.segment.key, str(run.mode), candidates=living().count())
    if len(entering) + len(leaving) <= AT_ONCE:
        return _write_at_once(work, since, entering, leaving, report)
    report = _write_ahead(work, since, entering, leaving, report)
    settle(task.segment.pk)
    return report


def _whole_difference(task: Task) -> tuple[array[int], array[int]]:
    """The same for everyone, by two anti-joins; ids are kept as eight bytes each."""
    members = Membership.rows.filter(segment=task.segment)
    inside = people(task.rule, task.at)
    entering = inside.exclude(has(members, None)).values_list("pk", flat=True)
    held = members.exclude(has(inside, None, by="pk", on="profile_id")).values_list("profile_id", flat=True)
    return array("q", entering.iterator(chunk_size=SLICE)), array("q", held.iterator(chunk_size=SLICE))


def _write_at_once(work: Pass, since: Since, entering: array[int], leaving: array[int], report: Refreshed) -> Refreshed:
    with transaction.atomic():
        if not work.is_wanted:
            return _abandon(work, report)
        report = write(work.task, work.run, since, entering, leaving, report, fire=work.fires)
        _arrive(work, since, report)
    return report


def _write_ahead(work: Pass, since: Since, entering: array[int], leaving: array[int], report: Refreshed) -> Refreshed:
    """In batches of short transactions that nobody sees, then the one that makes them count."""
    with transaction.atomic():
        if not work.is_wanted:
            return _abandon(work, report)
        generation = open_stage(work.task, work.run, since, fire=work.fires)
    total, done = len(entering) + len(leaving), 0
    for coming, going in _slices(entering, leaving):
        with transaction.atomic():
            if not work.is_wanted:
                return _abandon(work, report)
            came, went = stage(work.task, generation, coming, going)
            report = replace(report, entered=report.entered + came, left=report.left + went)
            done += len(coming) + len(going)
            beat(work.run, progress=100 * done // total)
    faultpoint("refresh.staged")
    with transaction.atomic():
        if not work.is_wanted:
            return _abandon(work, report)
        Segment.objects.filter(pk=work.task.segment.pk).update(generation=generation)
        _arrive(work, since, report)
    return report


def _arrive(work: Pass, since: Since, report: Refreshed) -> None:
    """The members answer to the rule at this `now`. The segments that read them are built again when nobody was told,
    silently too."""
    segment = work.task.segment
    size = Membership.objects.filter(segment=segment).count()
    end(work.run, report, size=size)
    arrive(work.task, since, size=size, built_number=segment.rule_number, fire_on_build=False)
    if not work.fires and (report.entered or report.left):
        _rebuild_readers(segment.key)


def _abandon(work: Pass, report: Refreshed) -> Refreshed:
    """The rule changed, another pass was quicker, or somebody stopped this one: the members stay who they were, and
    the next refresh goes on."""
    ended: dict[str, Any] = {"finished_at": database_now()}
    move(SegmentRun.objects.filter(pk=work.run.pk), SegmentRun.MOVES, SegmentRun.State.CANCELLED, **ended)
    return replace(report, mode="cancelled", entered=0, left=0)


def _rebuild_readers(key: str) -> None:
    """A silent build told nobody, so the segments that read this one are built again."""
    inner = read_by(Segment.objects.values_list("key", "rule"))
    Segment.objects.filter(key__in=[outer for outer, read in inner.items() if key in read]).update(built_number=0)


def _slices(entering: array[int], leaving: array[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Batches of those who enter, then of those who leave."""
    for batch in batches(entering, SLICE):
        yield list(batch), []
    for batch in batches(leaving, SLICE):
        yield [], list(batch)
