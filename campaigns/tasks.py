"""The engine's tasks: thin, safe to run at any time and any number of times."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from celery import shared_task

from campaigns import engine, touches
from campaigns import react as reacting
from campaigns import schedule as scheduling
from campaigns import transfer as transferring
from campaigns.overfull import end_overfull
from campaigns.rehearsal import run as rehearsals
from common import clock
from common.buckets import SHARDS

BUDGET = 10.0  # seconds


def _read_all(read: Callable[[int, datetime], int], page: int) -> int:
    """Read every shard to its end while there is time; how many facts. Each look begins with another shard, so that a
    backlog does not always leave the same ones for later."""
    until, first, facts = time.monotonic() + BUDGET, clock.now().microsecond, 0
    for turn in range(SHARDS):
        found = page
        while found >= page and time.monotonic() < until:
            found = read((first + turn) % SHARDS, clock.now())
            facts += found
    return facts


@shared_task
def react() -> dict[str, int]:
    """Let the new facts of every shard act."""
    return {"facts": _read_all(reacting.react_shard, reacting.PAGE)}


@shared_task
def advance() -> dict[str, int]:
    """End the walks that a limit ends, and move everybody who is due."""
    until = time.monotonic() + BUDGET
    end_overfull(clock.now())
    done = engine.advance(clock.now(), go_on=lambda: time.monotonic() < until)
    return {"claimed": done.claimed, "ended": done.ended, "parked": done.parked, "failed": done.failed}


@shared_task
def schedule() -> dict[str, int]:
    """Open the slots that are due, and let people in."""
    until = time.monotonic() + BUDGET
    return scheduling.run_schedules(clock.now(), go_on=lambda: time.monotonic() < until)


@shared_task
def transfer() -> dict[str, int]:
    """Go on moving people from older versions to newer ones."""
    until = time.monotonic() + BUDGET
    return {"people": transferring.run_all(clock.now(), go_on=lambda: time.monotonic() < until)}


@shared_task
def credit() -> dict[str, int]:
    """Read touches and conversions from the new facts of every shard, and credit what they bear on."""
    return {"facts": _read_all(touches.touch_shard, touches.BATCH)}


@shared_task
def rehearse() -> dict[str, int]:
    """One turn at the oldest back-test that waits."""
    return {"turns": int(rehearsals.work(clock.now()) is not None)}
