"""Celery's clock with a pulse: the database scheduler, which also says that its loop is turning."""

from __future__ import annotations

from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler

from common import heartbeat


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """django-celery-beat's scheduler; every turn of the loop may write the beat's sign of life."""

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        heartbeat.beat("beat")
        return super().tick(*args, **kwargs)
