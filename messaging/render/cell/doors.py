"""What a child gives up before its first request, and the time that the processor allows it."""

from __future__ import annotations

import resource

_HARD_CPU = resource.getrlimit(resource.RLIMIT_CPU)[1]


def close_doors(memory: int) -> None:
    """After this nothing can be opened, written or started, and `memory` octets of address space are all there is."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def allow_time(seconds: float) -> None:
    """Twice these seconds of the processor more, then it kills this process, should the parent be gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + 2 * seconds) + 1, _HARD_CPU))
