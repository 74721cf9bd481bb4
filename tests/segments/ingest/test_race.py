"""Writers at once: one person each, every fact once, whatever interleaves."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from segments.ingest import ingest
from segments.models import Event, EventStats, Identity, Order, Profile
from tests.people import NOW, make_source

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS, PEOPLE = 4, 25


def calls_of(writer: int) -> list[dict[str, Any]]:
    """The same people, orders and one shared event from every writer, each in an order of its own."""
    calls: list[dict[str, Any]] = []
    for i in range(PEOPLE):
        who = {"userId": f"u{i}"}
        total = {"order_id": f"o{i}", "total": 10}
        calls += [
            {"type": "page", "anonymousId": f"a{i}", "messageId": f"page {i}"},
            {"type": "identify", **who, "anonymousId": f"a{i}", "messageId": f"identify {i}", "traits": {"n": i}},
            {"type": "track", **who, "event": "Order Completed", "messageId": f"o {i}", "properties": total},
            {"type": "track", **who, "event": "Viewed", "messageId": f"{writer} {i}"},
        ]
    turn = writer * 4 * PEOPLE // WRITERS
    return calls[turn:] + calls[:turn]


def test_overlapping_batches_make_one_person_and_one_fact_each() -> None:
    source = make_source()
    codes: list[str] = []
    start = threading.Barrier(WRITERS)

    def write(writer: int) -> None:
        try:
            start.wait()
            codes.extend(row.status for row in ingest(calls_of(writer), source=source, now=NOW))
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "rejected" not in codes
    assert codes.count("stored") == Event.objects.exclude(kind="system").count() == PEOPLE * (3 + WRITERS)
    assert Profile.objects.filter(merged_into=None).count() == PEOPLE
    assert Identity.objects.count() == 2 * PEOPLE
    assert Order.objects.count() == PEOPLE
    counts = {(row.profile_id, row.name): row.count for row in EventStats.objects.all()}
    assert sum(counts.values()) == PEOPLE * (3 + WRITERS)
    assert {count for (_, name), count in counts.items() if name == "Viewed"} == {WRITERS}
