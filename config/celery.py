"""The Celery app: what a message of the broker may do, how long it may take, and how a slot runs once."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, Task, bootsteps
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
TRANSPORT_ALIASES["filesystem"] = "config.transport:SafeFiles"


class SlotTask(Task):  # type: ignore[type-arg]
    """A task that, when the timetable sent it, runs only if its slot is still free.

    A nudge from an edge carries no timetable name and runs at once: every task may run at any time and then
    finds nothing to do. What a task returns (a dict of counts) is kept on the slot's row.
    """

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from common.ticks import once
        from config.beat import interval_of

        every = interval_of(self._slot_name())
        if every is None:
            return super().__call__(*args, **kwargs)
        with once(self._slot_name(), every) as tick:
            if tick is None:
                return None
            result = super().__call__(*args, **kwargs)
            tick.result = result if isinstance(result, dict) else {}
            return result

    def _slot_name(self) -> str:
        headers = self.request.headers or {}
        return str(headers.get("periodic_task_name") or self.request.get("periodic_task_name") or "")


class Pulse(bootsteps.StartStopStep):
    """The worker's sign of life, written from its own loop: a loop that hangs falls silent."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self.timer: Any = None

    def start(self, worker: Any) -> None:
        from common import clock, heartbeat
        from config.instance import fence

        fence(now=clock.now())
        self.beat(worker)
        self.timer = worker.timer.call_repeatedly(heartbeat.EVERY_SECONDS, self.beat, (worker,))

    def stop(self, worker: Any) -> None:
        from common import heartbeat

        if self.timer is not None:
            self.timer.cancel()
        heartbeat.stop("worker")

    def beat(self, worker: Any) -> None:
        """Write the row and let the connection go: pool children must not inherit it."""
        from django.db import connection

        from common import heartbeat

        done = sum(worker.state.total_count.values())
        heartbeat.beat("worker", {"tasks": done}, every=heartbeat.EVERY_SECONDS / 2)
        connection.close()


app = Celery("perennial", task_cls=SlotTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(Pulse)
app.autodiscover_tasks()
