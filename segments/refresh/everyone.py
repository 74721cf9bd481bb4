"""The pass over everyone: a build, a day's turn, or more candidates than are worth picking out."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max

from common.clock import database_now
from common.semijoin import has
from common.states import move
from segments.facts.position import horizon
from segments.models import Membership, Segment, SegmentRun
from segments.refresh.candidates import Choice
from segments.refresh.task import (
    SLICE,
    Refreshed,
    Task,
    arrive,
    batches,
    end,
    lock,
    read_task,
    start,
    whole_choice,
    write,
)
from segments.rules.compile import living, people
from segments.rules.order import read_by

LOST = timedelta(minutes=10)
RUNNING = SegmentRun.State.RUNNING


def refresh_everyone(pk: int, now: datetime, *, choice: Choice) -> Refreshed:
    """The pass over everyone: the difference is read without a lock, and written in batches."""
    with transaction.atomic():
        segment = lock(pk, wait=False)
        if segment is None or _is_under_way(segment):
            return Refreshed(segment.key if segment else str(pk), "busy")
        task = read_task(segment, now)
        choice = whole_choice(task) or choice
        mode = SegmentRun.Mode.BUILD if choice.why == SegmentRun.Why.RULE else SegmentRun.Mode.FULL
        run = start(task, mode, choice)
    since = task.since(horizon())
    entering, leaving = _whole_difference(task)
    report = Refreshed(segment.key, str(mode), candidates=living().count())
    fire = mode != SegmentRun.Mode.BUILD or segment.fire_on_build
    total, done = max(1, len(entering) + len(leaving)), 0
    for coming, going in _slices(entering, leaving):
        with transaction.atomic():
            if not _may_write(task, run):
                return _abandon(task, run, report)
            report = write(task, run, since, coming, going, report, fire=fire)
            done += len(coming) + len(going)
            counts = {"entered": report.entered, "left": report.left}
            SegmentRun.objects.filter(pk=run.pk).update(progress=100 * done // total, **counts)
    with transaction.atomic():
        if not _may_write(task, run):
            return _abandon(task, run, report)
        end(task, run, report)
        arrive(task, since, resized=True, built=True)
        if not fire and (report.entered or report.left or _was_begun_before(run)):
            _rebuild_readers(segment.key)
    return report


def _whole_difference(task: Task) -> tuple[array[int], array[int]]:
    """The same for everyone, by two anti-joins; ids are kept as eight bytes each."""
    members = Membership.objects.filter(segment=task.segment)
    inside = people(task.rule, task.at)
    entering = inside.exclude(has(members, None)).values_list("pk", flat=True)
    held = members.exclude(has(inside, None, by="pk", on="profile_id")).values_list("profile_id", flat=True)
    return array("q", entering.iterator(chunk_size=SLICE)), array("q", held.iterator(chunk_size=SLICE))


def _may_write(task: Task, run: SegmentRun) -> bool:
    """Whether the segment is as it was when this pass began, and nobody has stopped the pass."""
    segment = lock(task.segment.pk, wait=True)
    if segment is None or replace(task, segment=segment).number != task.number:
        return False
    return SegmentRun.objects.filter(pk=run.pk, state=RUNNING).exists()


def _abandon(task: Task, run: SegmentRun, report: Refreshed) -> Refreshed:
    """The rule changed, another pass was quicker, or somebody stopped this one; the next refresh goes on. What was
    written stays, so the size is that of who is in it now."""
    Segment.objects.filter(pk=task.segment.pk).update(size=Membership.objects.filter(segment=task.segment).count())
    counts: dict[str, Any] = {"entered": report.entered, "left": report.left, "finished_at": database_now()}
    move(SegmentRun.objects.filter(pk=run.pk), SegmentRun.MOVES, SegmentRun.State.CANCELLED, **counts)
    return replace(report, mode="cancelled")


def _is_under_way(segment: Segment) -> bool:
    """Whether another worker is on a pass over everyone; one that fell silent is declared lost."""
    running = SegmentRun.objects.filter(segment=segment, state=RUNNING)
    lost = running.filter(started_at__lt=database_now() - LOST)
    move(lost, SegmentRun.MOVES, SegmentRun.State.FAILED, error="the worker stopped", finished_at=database_now())
    return running.exists()


def _was_begun_before(run: SegmentRun) -> bool:
    """Whether a build that did not end, since the last one that did, has written a part of this difference."""
    builds = SegmentRun.objects.filter(segment=run.segment_id, mode=SegmentRun.Mode.BUILD, pk__lt=run.pk)
    last = builds.filter(state=SegmentRun.State.DONE).aggregate(pk=Max("pk"))["pk"] or 0
    return builds.filter(pk__gt=last).exclude(entered=0, left=0).exists()


def _rebuild_readers(key: str) -> None:
    """A silent build told nobody, so the segments that read this one are built again, silently too."""
    inner = read_by(Segment.objects.values_list("key", "rule"))
    Segment.objects.filter(key__in=[outer for outer, read in inner.items() if key in read]).update(built_number=0)


def _slices(entering: array[int], leaving: array[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Batches of those who enter, then of those who leave."""
    for batch in batches(entering, SLICE):
        yield list(batch), []
    for batch in batches(leaving, SLICE):
        yield [], list(batch)
