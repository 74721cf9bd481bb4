"""Deadlocks and lost serialisations are ordinary: database work, and nothing else, is tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

T = TypeVar("T")
TRIES = 5
_PASSING = frozenset({"40001", "40P01", "55P03"})  # serialisation failure, deadlock, lock not available


def retrying(work: Callable[[], T]) -> T:
    """Run `work` (which opens its own transaction) up to five times, with jitter, while the database refuses
    it for a passing reason. Inside an open transaction it runs once: only the outermost may repeat."""
    if connection.in_atomic_block:
        return work()
    for attempt in range(1, TRIES):
        try:
            return work()
        except OperationalError as error:
            if not is_passing(error):
                raise
            time.sleep(random.uniform(0.005, 0.02) * 2**attempt)
    return work()


def is_passing(error: OperationalError) -> bool:
    """Whether the same work may succeed a moment later."""
    code = getattr(error.__cause__, "sqlstate", None)
    return code in _PASSING or "database is locked" in str(error)
