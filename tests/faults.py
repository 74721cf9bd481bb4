"""What a fault point does in a test: "after_attempt_commit:kill9:3" kills the process at the third passing."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable

from common import faults


class Fault(RuntimeError):
    """Raised where a test asked for it."""


def install_from(text: str, *, allowed: bool) -> None:
    """Install the faults of `text` (several separated by commas); nothing without text or permission."""
    if text and allowed:
        faults.install(handler(text))


def handler(text: str) -> Callable[[str], None]:
    """A handler for faults written as point:action[:nth[:argument]]; nth 0 means every time."""
    plan = [(*part.split(":"), "1", "")[:4] for part in text.split(",")]
    passed: Counter[str] = Counter()

    def at(point: str) -> None:
        passed[point] += 1
        for name, action, nth, argument in plan:
            if name == point and int(nth or 1) in (0, passed[point]):
                act(action, argument)

    return at


def act(action: str, argument: str = "") -> None:
    """Do it: kill9, stop (SIGSTOP), sleep (seconds), raise, disconnect (the database's connection)."""
    if action == "kill9":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "sleep":
        time.sleep(float(argument or 1))
    elif action == "raise":
        raise Fault(argument or "asked for by a test")
    elif action == "disconnect":
        from django.db import connection

        connection.connection.close()
    else:
        raise ValueError(f"no such fault: {action}")
