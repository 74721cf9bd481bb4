"""The whole installation, and a mail server alone, for the fault tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from messaging.channels import _smtp
from tests.harness import cluster
from tests.messaging.witness import Witness, witness

__all__ = ["cluster"]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Witness]:
    """A mail server as witness; this process's kept connections are closed afterwards."""
    with witness(tmp_path) as running:
        yield running
        _smtp.close_all()
