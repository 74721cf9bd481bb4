"""Measuring: yardstick and subject in turn, three rounds, medians; the ratio is what counts."""

from __future__ import annotations

import platform
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROUNDS = 3
MEMORY = 400  # MB


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
    """All lines of a run; a quiet one prints nothing."""

    lines: list[Line] = field(default_factory=list)
    quiet: bool = False

    def head(self) -> None:
        print(f"{'':6} {'what':62} {'ratio':>8} {'floor':>6}  {'subject':>12} {'yardstick':>12}")

    def add(self, line: Line) -> None:
        """Keep a line and print it at once."""
        self.lines.append(line)
        if self.quiet:
            return
        bound = "–" if line.floor is None else f"{line.floor:.3g}"
        mark = "–" if line.floor is None else "pass" if line.holds else "FAIL"
        print(
            f"{mark:6} {line.name:62} {line.ratio:8.3f} {bound:>6}  {line.subject:>12} {line.yardstick:>12}"
            f"  {line.detail}".rstrip()
        )
        sys.stdout.flush()

    def memory(self, name: str, *, limit: float = MEMORY, used: float | None = None) -> None:
        """A gate on the largest memory so far, of this process unless another's is given."""
        mb = peak_mb() if used is None else used
        self.add(Line(f"{name}: peak memory", f"{mb:.0f} MB", f"{limit:g} MB", limit / mb, 1))

    def holds(self) -> bool:
        return all(line.holds for line in self.lines)

    def verdict(self) -> int:
        """Say how many floors hold; 1 when one does not, or when nothing was measured."""
        gates = [line for line in self.lines if line.floor is not None]
        fallen = [line.name for line in gates if not line.holds]
        print(f"{len(gates) - len(fallen)} of {len(gates)} floors hold" + "".join(f"\n  FAIL {n}" for n in fallen))
        return 0 if self.lines and not fallen else 1


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
    """The largest resident memory of this process so far, in MB. What `getrusage` says begins with that of the process
    that started this one, so Linux is asked otherwise."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def bounded(name: str, minutes: float) -> Iterator[None]:
    """Stop a bench that takes longer than so many minutes, by TimeoutError."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"bench '{name}' took longer than {minutes:g} minutes (BENCH_MINUTES)")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, minutes * 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def machine() -> str:
    """Cores, memory, load and versions, for the record beside the figures."""
    import os

    import django
    from django.db import connection

    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        version = cursor.fetchone()[0]
    return (
        f"{os.cpu_count()} cores, {pages * size / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, Django {django.get_version()}, "
        f"{connection.vendor} {str(version).split(',')[0][:40]}"
    )
