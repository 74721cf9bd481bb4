"""Where the processor's time goes: by process, as the kernel counted it, so that a busy machine blurs it little.

A race of processes on a machine of few cores is decided by the sum of them all: sender, its renderer, the database's
sessions and its own chores, and the mail server.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

Spent = dict[str, float]
NAMES = ("sender", "renderer", "session", "chores", "mail server")


def used(pid: int | None) -> float:
    """Seconds that a process has been on a core; 0 when there is none, or when it is on another machine."""
    with suppress(OSError, ValueError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def session() -> float:
    """Seconds of the database's session of this process."""
    from django.db import connection

    link = connection.connection
    return used(link.info.backend_pid if link is not None else None)


def chores(backend: int) -> float:
    """Seconds of the database's own processes (writer, checkpointer, WAL), which are children of a session's parent
    and serve no client."""
    with suppress(OSError, ValueError):
        parent = _parent(backend)
        return sum(used(pid) for pid in _children(parent) if "[local]" not in _title(pid) and "(" not in _title(pid))
    return 0.0


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _children(parent: int) -> list[int]:
    found = []
    for one in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError, ValueError):
            if _parent(int(one)) == parent:
                found.append(int(one))
    return found


def _title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")


def each(spent: Spent, messages: int) -> str:
    """The parts in µs a message, and their sum."""
    parts = {name: 1e6 * spent.get(name, 0.0) / max(messages, 1) for name in NAMES if spent.get(name)}
    return ", ".join(f"{name} {value:.0f}" for name, value in parts.items()) + f"; together {sum(parts.values()):.0f}"
