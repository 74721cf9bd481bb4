"""What a refresh costs, counted without a clock, for every operator that is registered: nothing is written where nothing
changed, and the log is never walked from end to end, neither by the questions nor in search of who may have changed."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from segments.facts.fact import Position
from segments.models import Event, Membership, Segment, SegmentRun
from segments.refresh import refresh_due
from segments.refresh.candidates import Since, changed, crossing, names_read
from segments.rules.compile import people, reads_of
from segments.rules.operators import At, operators
from segments.rules.parse import parse_rule
from tests.segments.refresh.settled import settle_log
from tests.segments.refresh.test_every_operator import ASKED
from tests.segments.rules.test_plans import log, whole_scans
from tests.segments.rules.world import BASE, ZONE, random_person, store

__all__ = ["log"]
LAST_ID = 2**62


def rules(op: str, rng: random.Random, count: int) -> list[Any]:
    leaves = [{"op": op, "params": ASKED[op](rng)} for _ in range(count)]
    return [raw for leaf in leaves for raw in (leaf, {"not": leaf})]


def test_no_question_walks_the_log(log: None, rng: random.Random, prove: bool) -> None:
    for op in operators.keys():  # noqa: SIM118
        for raw in rules(op, rng, 20 if prove else 4):
            found = people(parse_rule(raw), At(BASE, ZONE))
            assert whole_scans(found) == [], (raw, found.explain())


def test_whoever_may_have_changed_is_found_by_index(log: None, rng: random.Random) -> None:
    """The last twenty of 16,000 facts are new, and five minutes have passed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("UPDATE segments_event SET tx = id")
            cursor.execute("ANALYZE segments_event")
    newest = Event.objects.order_by("-id").values_list("id", "tx")[0]
    upto = Position(newest[1], LAST_ID if newest[1] else newest[0])
    cursor_at = Position(newest[1] and newest[1] - 20, LAST_ID if newest[1] else newest[0] - 20)
    since = Since(cursor_at, upto, BASE - timedelta(minutes=5), BASE)
    for op in operators.keys():  # noqa: SIM118
        for raw in rules(op, rng, 1):
            rule = parse_rule(raw)
            for rows in (changed(names_read(rule), since), *crossing(reads_of(rule), since)):
                asked = rows.values_list("profile_id", flat=True).distinct()
                assert whole_scans(asked) == [], (raw, asked.explain())


@pytest.mark.django_db(transaction=True)
def test_an_unchanged_refresh_writes_no_row_whatever_is_asked(rng: random.Random, settings: Any) -> None:
    settings.WORKSPACE_ZONE = "Asia/Shanghai"
    store([random_person(rng) for _ in range(15)])
    for op in operators.keys():  # noqa: SIM118
        Segment.objects.create(key=op.replace("_", "-"), name=op, rule=rules(op, rng, 1)[rng.randrange(2)])
    for _ in range(3):  # segments that others read are told of by facts, which wait for the log to be final
        settle_log()
        assert not [report for report in refresh_due(BASE) if report.error]
    settle_log()
    before = (Event.objects.count(), SegmentRun.objects.count(), list(Membership.objects.order_by("pk").values()))
    with CaptureQueriesContext(connection) as queries:
        reports = refresh_due(BASE)
    assert {(report.mode, report.entered, report.left) for report in reports} == {("changed", 0, 0)}
    assert (
        Event.objects.count(),
        SegmentRun.objects.count(),
        list(Membership.objects.order_by("pk").values()),
    ) == before
    writes = [query["sql"] for query in queries if query["sql"].lstrip().startswith(("INSERT", "UPDATE", "DELETE"))]
    assert len(writes) == len(reports), "only each segment's cursor moves"
    assert all(sql.startswith('UPDATE "segments_segment"') for sql in writes), writes
