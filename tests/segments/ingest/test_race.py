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


@pytest.mark.postgres
def test_a_visitor_who_becomes_known_meanwhile_is_not_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading and writing, another process adopts the visitor for another user."""
    import segments.ingest.flush as room

    source = make_source()
    visit = {"type": "page", "anonymousId": "shared", "messageId": "v"}
    bo = {"type": "identify", "userId": "bo", "messageId": "b"}
    ingest([visit, bo], source=source, now=NOW)
    real, struck = room._hold, []

    def meanwhile() -> None:
        mei = {"type": "identify", "userId": "mei", "anonymousId": "shared", "messageId": "m"}
        ingest([mei], source=source, now=NOW)
        connection.close()

    def hold(*args: Any) -> None:
        if not struck:
            struck.append(1)
            thread = threading.Thread(target=meanwhile)
            thread.start()
            thread.join()
        real(*args)

    monkeypatch.setattr(room, "_hold", hold)
    assert ingest([{**bo, "anonymousId": "shared", "messageId": "late"}], source=source, now=NOW)[0].status == "stored"
    owners = dict(Identity.objects.values_list("value", "profile"))
    assert owners["shared"] == owners["mei"] != owners["bo"]
    assert not Profile.objects.exclude(merged_into=None).exists()
