"""A sending process for fault tests: sends and sweeps until nothing is open. python -m tests.messaging.worker NAME."""

from __future__ import annotations

import os
import sys
import time

import django


def main(name: str, seconds: float = 120) -> None:
    """Look, sweep, sleep; ends when every message has reached a state that only time can change."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from django.db import InterfaceError, OperationalError, connections

    from common.clock import now
    from messaging.models import Delivery
    from messaging.outbox.send import send_due
    from messaging.outbox.sweep import sweep
    from tests.messages import render_plainly

    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            sweep(now())
            report = send_due(worker=name, now_fn=now, render=render_plainly, seconds=5)
            open_states = ("planned", "claimed", "attempting")
            waiting = Delivery.objects.filter(state__in=open_states, not_before__lte=now())
            if report.claimed == 0 and not waiting.exists():
                return
        except (OperationalError, InterfaceError):  # as a task would: this look fails, the next one connects anew
            connections.close_all()
        time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1])
