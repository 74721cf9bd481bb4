"""The whole API fuzzed from its own schema: no server error, no answer that the schema does not know.

Requests that fit the schema and requests that break it on purpose, for so many seconds (tests.fuzzing).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.api.callers import a_key
from tests.fuzzing import SHARE, Budget, told
from tests.people import make_profile

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore")]
FEW = 5  # requests of one kind to one operation before the next operation has its turn


@contextmanager
def one_connection() -> Iterator[None]:
    """The server runs in this thread and must not close the test's connection after each request."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


def operations() -> list[Any]:
    """Every operation of the schema, bound to the application itself."""
    from django.test import Client
    from schemathesis import openapi

    from config.wsgi import application

    raw = Client().get("/api/schema/", {"format": "json"}).json()
    schema = openapi.from_dict(raw)
    schema.app = application
    return [one.ok() for one in schema.get_all_operations()]


def fuzz(seconds: float) -> dict[str, int]:
    """Call every operation in turn until the time is over, each at least once; returns calls by status class."""
    from schemathesis import GenerationMode

    secret, budget = a_key("*"), Budget(seconds)
    make_profile(user_id="mei")
    statuses: dict[str, int] = {}
    every = operations()
    with one_connection():
        for number in budget.rounds():
            for operation in every:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    if number and budget.over:
                        return statuses
                    cache.clear()  # the throttle has tests of its own
                    fuzz_one(operation, mode, secret, number, statuses)
    return statuses


def fuzz_one(operation: Any, mode: Any, secret: str, number: int, statuses: dict[str, int]) -> None:
    """Call one operation with generated requests, and hold each answer against the schema."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis.errors import Unsatisfiable

    @seed(told(number))
    @settings(
        max_examples=FEW,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        answer = case.call(headers={**(case.headers or {}), "Authorization": f"Bearer {secret}"})
        kind = f"{mode.value} {answer.status_code // 100}xx"
        statuses[kind] = statuses.get(kind, 0) + 1
        said = (case.method, case.formatted_path, case.query, case.headers, case.body)
        assert answer.status_code < 500, said
        documented = set(operation.definition.raw["responses"])
        assert str(answer.status_code) in documented, (answer.status_code, answer.content[:300], *said)
        operation.validate_response(answer)

    try:
        one()
    except Unsatisfiable:  # nothing in this operation can be broken: it takes no parameter and no body
        assert mode.value == "negative"


def test_every_operation_answers_as_its_schema_says_whatever_it_is_asked() -> None:
    statuses = fuzz(SHARE)
    print(f"answers: {statuses}")
    assert statuses.get("positive 2xx", 0) > 20, statuses
    assert statuses.get("negative 4xx", 0) > 100, statuses
