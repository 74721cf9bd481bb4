"""So many a minute: a burst of a minute, then the rate; large takes pass whole and are paid off."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from common.rates import NEVER, take
from segments.models import Source
from tests.people import NOW, make_source

SECOND = timedelta(seconds=1)


def asked(count: int, at: int, *, a_minute: int = 60) -> float:
    """Seconds to wait, told to somebody who asks `at` seconds from now."""
    row = Source.objects.filter(pk=make_source().pk)
    return take(row, "filled_until", count=count, a_minute=a_minute, now=NOW + at * SECOND).total_seconds()


@pytest.mark.django_db
def test_a_minutes_worth_at_once_and_then_the_rate() -> None:
    assert [asked(20, 0) for _ in range(4)] == [0, 0, 0, 0]
    assert asked(1, 0) == 20
    assert asked(1, 19) == 1
    assert asked(1, 20) == 0
    assert asked(1, 20) == 1


@pytest.mark.django_db
def test_what_is_larger_than_the_bucket_passes_whole_and_is_paid_off() -> None:
    assert asked(500, 0, a_minute=100) == 0
    assert asked(1, 0, a_minute=100) == 240
    assert asked(1, 239, a_minute=100) == 1
    assert asked(500, 240, a_minute=100) == 0
    assert asked(1, 240, a_minute=100) == 300


@pytest.mark.django_db
def test_an_unused_bucket_holds_no_more_than_a_minute() -> None:
    assert asked(1, 0) == 0
    assert asked(60, 7200) == 0
    assert asked(1, 7200) == 0
    assert asked(1, 7200) == 1


@pytest.mark.django_db
def test_none_at_all() -> None:
    assert asked(1, 0, a_minute=0) == NEVER.total_seconds()


@pytest.mark.django_db(transaction=True)
def test_processes_share_one_bucket() -> None:
    make_source()
    found: list[float] = []

    def ask() -> None:
        try:
            for _ in range(30):
                found.append(asked(1, 0))
        finally:
            connections.close_all()

    workers = [threading.Thread(target=ask) for _ in range(4 if connection.vendor == "postgresql" else 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found.count(0) == min(len(found), 61)  # a full bucket, and the one that finds it just empty
