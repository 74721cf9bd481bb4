"""Signs of life: one row for a process, written now and then, gone on an orderly end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError

from common import clock, heartbeat
from common.models import Heartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_last", {})


def test_a_row_for_a_process_and_not_every_time() -> None:
    assert heartbeat.beat("worker", {"tasks": 1})
    assert not heartbeat.beat("worker", {"tasks": 2})
    assert heartbeat.beat("worker", {"tasks": 3}, every=0)
    assert heartbeat.beat("beat")
    row = Heartbeat.objects.get(role="worker")
    assert (row.process, row.detail) == (heartbeat.process_name("worker"), {"tasks": 3})
    heartbeat.stop("worker")
    assert [row.role for row in Heartbeat.objects.all()] == ["beat"]


def test_silence_is_seen_and_at_last_forgotten() -> None:
    heartbeat.beat("worker")
    at = clock.database_now()
    assert len(heartbeat.alive("worker", at=at)) == 1
    assert heartbeat.alive("worker", at=at + timedelta(seconds=46)) == []
    assert heartbeat.prune(before=at - timedelta(hours=1)) == 0
    assert heartbeat.prune(before=at + timedelta(hours=1)) == 1


def test_a_dead_database_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(heartbeat, "database_now", refuse)
    monkeypatch.setattr(heartbeat.connection, "close", lambda: None)
    assert not heartbeat.beat("worker")
