"""A local provider for every channel's test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.messaging.channels.gateway import Gateway, Said, serving


@pytest.fixture
def gateway(settings: Any) -> Iterator[Gateway]:
    """A server that refuses everything until a test says what it plays; loopback may be called."""
    settings.OUTBOUND_HTTP, settings.OUTBOUND_PRIVATE = True, ["127.0.0.0/8"]
    with serving(lambda asked: Said(500)) as server:
        yield server
