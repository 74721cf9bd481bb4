"""The chores of the installation itself."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from common import clock, heartbeat, ticks

KEEP_SLOTS = timedelta(days=1)
KEEP_SILENT = timedelta(days=1)


@shared_task
def prune() -> dict[str, int]:
    """Forget slots older than a day and processes silent for as long."""
    at = clock.database_now()
    return {"slots": ticks.prune(before=at - KEEP_SLOTS), "processes": heartbeat.prune(before=at - KEEP_SILENT)}
