"""Signs of life: each process writes its row now and then, so that silence can be seen from outside."""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from common.clock import database_now
from common.models import Heartbeat

EVERY_SECONDS = 10.0
STALE = timedelta(seconds=45)
_last: dict[str, float] = {}


def process_name(role: str) -> str:
    """ "worker@host:123", unique among living processes."""
    return f"{role}@{socket.gethostname()[:80]}:{os.getpid()}"


def beat(role: str, detail: dict[str, Any] | None = None, *, every: float = EVERY_SECONDS) -> bool:
    """Write this process's row unless it was written less than `every` seconds ago; whether it was written.

    A database that does not answer is not this call's business: it returns False and the row grows old.
    """
    name, at = process_name(role), time.monotonic()
    if at - _last.get(name, float("-inf")) < every:
        return False
    _last[name] = at
    try:
        values: dict[str, Any] = {"role": role, "at": database_now(), "detail": detail or {}}
        Heartbeat.objects.update_or_create(process=name, defaults=values)
    except (DatabaseError, InterfaceError):
        connection.close()
        return False
    return True


def stop(role: str) -> None:
    """Take the row away on an orderly end, so that only a crash looks like one."""
    try:
        Heartbeat.objects.filter(process=process_name(role)).delete()
    except (DatabaseError, InterfaceError):
        connection.close()


def alive(role: str, *, at: datetime) -> list[Heartbeat]:
    """The processes of a role that gave a sign within STALE before `at` (the database's clock)."""
    return list(Heartbeat.objects.filter(role=role, at__gte=at - STALE).order_by("process"))


def prune(*, before: datetime) -> int:
    """Forget processes that fell silent before then; returns how many."""
    gone, _ = Heartbeat.objects.filter(at__lt=before).delete()
    return gone
