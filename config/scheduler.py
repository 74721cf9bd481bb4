"""Celery's clock with a pulse: the database scheduler, which says that its loop turns and does not nag."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler

from common import clock, heartbeat, ticks
from config.beat import HINT_SECONDS, interval_of, is_ours


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """django-celery-beat's scheduler, but one hint per line of ours is on its way at a time.

    A worker that is behind would otherwise find a queue full of the most frequent line's hints, and the lines that
    come round less often would starve behind them until their own hints expire.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sent: dict[str, datetime] = {}
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        heartbeat.beat("beat")
        return super().tick(*args, **kwargs)

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send the entry's hint, unless it is ours and the one before still waits to be taken."""
        if is_ours(entry.name):
            at = clock.database_now()
            if self._waits(entry, at):
                return None
            self._sent[entry.name] = at
        return super().apply_async(entry, producer=producer, advance=advance, **kwargs)

    def _waits(self, entry: Any, at: datetime) -> bool:
        """Whether the last hint has not expired, and nothing has run in its slot or since.

        Its slot, not its moment: where another beat's hint took the slot first, ours was taken in vain.
        """
        sent = self._sent.get(entry.name)
        if sent is None or at - sent > timedelta(seconds=HINT_SECONDS):
            return False
        age = ticks.age(entry.name, at=at)
        return age is None or at - age < ticks.slot_of(sent, interval_of(entry.name) or 1)
