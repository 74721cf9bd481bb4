"""Measuring: yardstick and subject in turn, three rounds, medians; the ratio is what counts."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

ROUNDS = 3


@dataclass
class Line:
    """One measured ratio. `floor` is the ratio below which the bench fails; None only reports."""

    name: str
    subject: str
    yardstick: str
    ratio: float
    floor: float | None
    detail: str = ""

    @property
    def holds(self) -> bool:
        return self.floor is None or self.ratio >= self.floor


@dataclass
class Board:
    """All lines of a run."""

    lines: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Keep a line and print it at once."""
        self.lines.append(line)
        bound = "" if line.floor is None else f" (at least {line.floor:g})"
        mark = " " if line.holds else "✗"
        print(f"{mark} {line.name:44} {line.ratio:8.3f}{bound:18} {line.subject} / {line.yardstick}  {line.detail}")
        sys.stdout.flush()

    def holds(self) -> bool:
        return all(line.holds for line in self.lines)


def interleave(
    yardstick: Callable[[], float], subject: Callable[[], float], *, rounds: int = ROUNDS
) -> tuple[float, float]:
    """Run both in turn and return the medians of what they return (a rate, or seconds)."""
    yards, subjects = [], []
    for _ in range(rounds):
        yards.append(yardstick())
        subjects.append(subject())
    return median(yards), median(subjects)


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_mb() -> float:
    """The largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """Cores, memory and versions, for the record beside the figures."""
    import os

    import django
    from django.db import connection

    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        version = cursor.fetchone()[0]
    return (
        f"{os.cpu_count()} cores, {pages * size / 2**30:.0f} GiB, Python {platform.python_version()}, "
        f"Django {django.get_version()}, {connection.vendor} {str(version).split(',')[0][:40]}"
    )
