"""The cluster fixture for tests of the wiring."""

from __future__ import annotations

from tests.harness import cluster

__all__ = ["cluster"]
