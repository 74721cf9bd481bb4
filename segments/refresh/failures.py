"""What is noted when a refresh fails: why, on the segment and on the run, and nothing of what another worker does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from common.clock import database_now
from common.params import Invalid
from common.states import move
from segments.models import Segment, SegmentRun

FAILED = SegmentRun.State.FAILED


@contextmanager
def noted(segment: Segment, now: datetime, *, run: SegmentRun | None = None) -> Iterator[None]:
    """Keep why the work inside failed, with its `run` if it has one; what was raised is raised on."""
    try:
        yield
    except Exception as error:
        _note(segment, said(error), now, run)
        raise


def said(error: Exception) -> str:
    return str(error) if isinstance(error, Invalid) else f"{type(error).__name__}: {error}"[:2000]


def _note(segment: Segment, why: str, now: datetime, run: SegmentRun | None) -> None:
    """With the run under way, else in a run of its own; of runs in a row that fail alike, as at every tick, the last
    is kept."""
    Segment.objects.filter(pk=segment.pk).update(last_error=why)
    ended: dict[str, Any] = {"error": why, "finished_at": database_now()}
    own = SegmentRun.objects.filter(pk=run.pk) if run else SegmentRun.objects.none()
    if not move(own, SegmentRun.MOVES, FAILED, **ended):
        mode = SegmentRun.Mode.CHANGED if segment.built_number == segment.rule_number else SegmentRun.Mode.BUILD
        SegmentRun.objects.create(
            segment=segment, mode=mode, state=FAILED, as_of=now, started_at=database_now(), **ended
        )
    _forget_like_one_before(segment, why)


def _forget_like_one_before(segment: Segment, why: str) -> None:
    """Leave the last of two runs in a row that failed alike."""
    last = SegmentRun.objects.filter(segment=segment).order_by("-started_at", "-pk")[:2]
    alike = [run.pk for run in last if (run.state, run.error) == (FAILED, why)]
    if len(alike) == 2:
        SegmentRun.objects.filter(pk=alike[1]).delete()
