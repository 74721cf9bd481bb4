"""Slots: each is run by one, whoever rings and however often; what became of it is kept."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from common import clock
from common.models import Tick
from common.ticks import age, claim, once, prune, slot_of


def test_slots_are_whole_multiples() -> None:
    at = datetime(2026, 11, 2, 10, 0, 7, 900_000, tzinfo=UTC)
    assert slot_of(at, 5) == datetime(2026, 11, 2, 10, 0, 5, tzinfo=UTC)
    assert slot_of(at, 3600) == datetime(2026, 11, 2, 10, tzinfo=UTC)
    assert slot_of(at, 0) == datetime(2026, 11, 2, 10, 0, 7, tzinfo=UTC)


@pytest.mark.django_db
def test_the_second_ring_of_a_slot_is_silent() -> None:
    with once("a", 3600) as first:
        assert first is not None
        first.result = {"sent": 3}
    with once("a", 3600) as second:
        assert second is None
    with once("b", 3600) as other:
        assert other is not None
    row = Tick.objects.get(schedule="a")
    assert (row.result, row.error) == ({"sent": 3}, "")
    assert row.finished_at is not None
    assert row.finished_at >= row.started_at


@pytest.mark.django_db
def test_an_exception_is_kept_and_goes_on() -> None:
    with pytest.raises(ValueError, match="broken"), once("a", 3600):
        raise ValueError("broken")
    assert Tick.objects.get().error == "ValueError: broken"


@pytest.mark.django_db(transaction=True)
def test_eight_racing_rings_run_each_slot_once() -> None:
    won, gate = [], threading.Barrier(8)

    def ring() -> None:
        gate.wait()
        for schedule in range(5):
            if claim(f"s{schedule}", 86_400 * 400):
                won.append(schedule)
        connection.close()

    threads = [threading.Thread(target=ring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [0, 1, 2, 3, 4]
    assert Tick.objects.count() == 5


@pytest.mark.django_db
def test_pruning_keeps_the_last_slot_of_each_schedule() -> None:
    now = clock.database_now()
    for days in (9, 8, 7):
        at = now - timedelta(days=days)
        Tick.objects.create(schedule="a", slot=at, started_at=at)
    Tick.objects.create(schedule="b", slot=now, started_at=now)
    assert prune(before=now - timedelta(days=1)) == 2
    assert age("a", at=now) == timedelta(days=7)
    assert age("b", at=now) == timedelta(0)
    assert age("c", at=now) is None
