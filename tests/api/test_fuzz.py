"""The whole API fuzzed from its own schema: no server error, no answer that the schema does not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.api.callers import a_key
from tests.conftest import SEED
from tests.people import make_profile

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore")]


@contextmanager
def one_connection() -> Iterator[None]:
    """The server runs in this thread and must not close the test's connection after each request."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


def fuzz(examples: int) -> int:
    """Call every operation with generated requests; returns how many calls were made."""
    from django.test import Client
    from schemathesis import openapi

    from config.wsgi import application

    secret = a_key("*")
    make_profile(user_id="mei")
    raw = Client().get("/api/schema/", {"format": "json"}).json()
    schema = openapi.from_dict(raw)
    schema.app = application
    with one_connection():
        return sum(fuzz_one(one.ok(), secret, examples) for one in schema.get_all_operations())


def fuzz_one(operation: Any, secret: str, examples: int) -> int:
    """Call one operation with generated requests, and hold each answer against the schema."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from schemathesis import GenerationMode

    calls = 0

    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def one(case: Any) -> None:
        nonlocal calls
        calls += 1
        answer = case.call(headers={**(case.headers or {}), "Authorization": f"Bearer {secret}"})
        assert answer.status_code < 500, (case.method, case.path, case.query, case.body)
        operation.validate_response(answer)

    one()
    return calls


def test_a_short_fuzz_of_every_operation() -> None:
    assert fuzz(5) > 50


@pytest.mark.slow
def test_a_long_fuzz_of_every_operation() -> None:
    assert fuzz(60) > 600
