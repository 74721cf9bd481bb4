"""Named fault points: no-ops unless a test process installs a handler, so crashes can be rehearsed.

The handler is installed by the environment variable PERENNIAL_FAULTS, which is read only when the
setting ALLOW_FAULTS is true; production settings keep it false.
"""

from __future__ import annotations

from collections.abc import Callable

_handler: Callable[[str], None] | None = None


def install(handler: Callable[[str], None] | None) -> None:
    """Set (or with None remove) the process's handler, called with each point's name."""
    global _handler
    _handler = handler


def faultpoint(name: str) -> None:
    """A place where a test may kill, stop, delay or raise."""
    if _handler is not None:
        _handler(name)
