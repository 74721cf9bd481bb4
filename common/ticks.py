"""Slots of a schedule: whoever inserts the row runs the slot, so two clocks ringing at once do no harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Max

from common.clock import database_now
from common.faults import faultpoint
from common.models import Tick


def slot_of(at: datetime, every_seconds: int) -> datetime:
    """The start of the slot that holds `at`: whole multiples of `every_seconds` since 1970, UTC."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % max(1, every_seconds), UTC)


def claim(schedule: str, every_seconds: int) -> Tick | None:
    """Take the present slot of `schedule` by the database's clock; None when somebody has taken it."""
    at = database_now()
    try:
        with transaction.atomic():
            return Tick.objects.create(schedule=schedule, slot=slot_of(at, every_seconds), started_at=at)
    except IntegrityError:
        return None


@contextmanager
def once(schedule: str, every_seconds: int) -> Iterator[Tick | None]:
    """Yield the slot's row to the one caller who may run it, None to every other.

    The row then keeps when it ended, the `result` the caller put on it, or the exception that left the block
    (which goes on). Tasks named in the timetable are wrapped in this by the task class; they need not do it.
    """
    tick = claim(schedule, every_seconds)
    if tick is None:
        yield None
        return
    faultpoint("after_tick_insert")
    try:
        yield tick
    except Exception as error:
        tick.error = f"{type(error).__name__}: {error}"[:2000]
        raise
    finally:
        Tick.objects.filter(pk=tick.pk).update(finished_at=database_now(), result=tick.result, error=tick.error)


def prune(*, before: datetime) -> int:
    """Forget slots that began before then; returns how many. The last slot of each schedule is kept."""
    keep = Tick.objects.values("schedule").annotate(last=Max("id")).values_list("last", flat=True)
    gone, _ = Tick.objects.filter(started_at__lt=before).exclude(id__in=list(keep)).delete()
    return gone


def age(schedule: str, *, at: datetime) -> timedelta | None:
    """How long ago a slot of `schedule` last began; None when none ever did."""
    last = Tick.objects.filter(schedule=schedule).order_by("-slot").values_list("started_at", flat=True).first()
    return None if last is None else at - last
