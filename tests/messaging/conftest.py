"""The whole installation, for the fault tests of this folder."""

from __future__ import annotations

from tests.harness import cluster

__all__ = ["cluster"]
