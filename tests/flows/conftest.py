"""The cluster fixture for flows through the whole house."""

from __future__ import annotations

from tests.harness import cluster

__all__ = ["cluster"]
