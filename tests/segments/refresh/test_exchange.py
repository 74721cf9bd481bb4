"""More people change sides than one transaction can hold: the old members serve, whole, until the new ones do, whatever
stops, fails or is killed in between; and what is to be stated of the moves is stated once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from common.clock import database_now
from common.faults import install
from segments.merge import merge
from segments.models import Event, Membership, Profile, Segment, SegmentRun
from segments.overlaps import overlaps
from segments.overview import memberships_of, newest_members
from segments.refresh import build_anew, cancel_run, everyone, give_rule, refresh_due, refresh_segment, staging, task
from segments.rules.compile import people
from segments.rules.operators import At
from segments.rules.parse import parse_rule
from tests.people import NOW, make_fact, make_profile
from tests.segments.refresh.settled import settle_log
from tests.segments.rules.world import ZONE

pytestmark = pytest.mark.django_db(transaction=True)
POINTS = ["refresh.stage:1", "refresh.stage:2", "refresh.stage:4", "refresh.staged:1"]
AFTER = ["refresh.settle:1", "refresh.settle:2", "refresh.settle:3", "refresh.settle:4"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (everyone, staging):
        monkeypatch.setattr(room, "SLICE", 3)
    monkeypatch.setattr(everyone, "AT_ONCE", 2)


def did(event: str) -> dict[str, Any]:
    return {"op": "event_count", "params": {"event": event, "count": 1}}


def inside(key: str) -> dict[str, Any]:
    return {"op": "in_segment", "params": {"segment": key}}


def members(key: str) -> set[int]:
    return set(Segment.objects.get(key=key).memberships.values_list("profile_id", flat=True))


def refresh() -> list[str]:
    settle_log()
    return [report.mode for report in refresh_due(NOW)]


def told(name: str) -> list[int]:
    return sorted(Event.objects.filter(name=name).values_list("profile_id", flat=True))


def half_and_half(*, fire: bool = False) -> tuple[Segment, set[int], set[int]]:
    """Ten viewed, of whom two bought, as did seven others; the members are the viewers, and are to be the buyers."""
    persons = [make_profile(email=f"{n}@example.com") for n in range(17)]
    for person in persons[:10]:
        make_fact(person, "Viewed", at=NOW)
    for person in persons[8:]:
        make_fact(person, "Bought", at=NOW)
    row = Segment.objects.create(key="some", name="Some", rule=did("Viewed"))
    assert refresh() == ["build"]
    row.refresh_from_db()
    row.save(update_fields=give_rule(row, did("Bought"), fire=fire))
    return row, {person.pk for person in persons[:10]}, {person.pk for person in persons[8:]}


def seen_everywhere(row: Segment) -> list[set[int]]:
    """Who is a member in the eyes of each reader."""
    asked = people(parse_rule(inside(row.key)), At(NOW, ZONE))
    of_each = {pk for pk in Profile.objects.values_list("pk", flat=True) if memberships_of(pk).exists()}
    return [
        members(row.key), set(asked.values_list("pk", flat=True)), of_each,
        {one.profile_id for one in newest_members(row.pk, limit=100)},
        set(Membership.objects.filter(segment__key=row.key).values_list("profile_id", flat=True)),
    ]  # fmt: skip


@contextmanager
def at(point: str, do: Callable[[], Any]) -> Iterator[list[str]]:
    """Do something at the nth passing of a fault point, written point:nth; yields the points that were passed."""
    name, _, nth = point.partition(":")
    passed: list[str] = []

    def met(here: str) -> None:
        passed.append(here)
        if here == name and passed.count(name) == int(nth):
            do()

    install(met)
    try:
        yield passed
    finally:
        install(None)


def fall() -> None:
    raise RuntimeError("the lights went out")


def is_settled(row: Segment) -> bool:
    """No row waits for anything: whoever has one is a member."""
    row.refresh_from_db()
    return row.staged is None and Membership.rows.filter(segment=row).count() == row.memberships.count() == row.size


def test_every_reader_sees_the_old_members_until_it_sees_the_new() -> None:
    row, old, new = half_and_half()
    other = Segment.objects.create(key="other", name="Other", rule=did("Viewed"), size=10)
    Membership.objects.bulk_create([Membership(segment=other, profile_id=pk, entered_at=NOW) for pk in old])
    looks: dict[str, list[Any]] = {}

    def look(point: str) -> None:
        seen = [*seen_everywhere(row)[:2], {one.profile_id for one in newest_members(row.pk, limit=100)}]
        shared = {one.key: one.both for one in overlaps(other)}
        looks.setdefault(point, []).append((seen, shared, Segment.objects.get(pk=row.pk).size))

    install(look)
    try:
        settle_log()
        report = refresh_segment(row, NOW)
    finally:
        install(None)
    assert (report.mode, report.entered, report.left) == ("build", 7, 8)
    before, after = ([old] * 3, {"some": 10}, 10), ([new] * 3, {"some": 2}, 9)
    assert looks["refresh.stage"] == [before] * 6
    assert looks["refresh.staged"] == [before]
    assert looks["refresh.settle"] == [after] * 5
    assert is_settled(row)
    run = SegmentRun.objects.latest("id")
    assert (run.state, run.entered, run.left, run.size, run.progress) == ("done", 7, 8, 9, 100)


def test_who_reads_meanwhile_sees_nobody_half() -> None:
    """Another connection reads as fast as it can, while the members are exchanged there and back."""
    row, old, new = half_and_half()
    stop, seen = threading.Event(), set()

    def read() -> None:
        try:
            while not stop.is_set():
                seen.add(frozenset(members("some")))
        finally:
            connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for rule in ("Viewed", "Bought", "Viewed", "Bought"):
            assert refresh() == ["build"]
            row.refresh_from_db()
            row.save(update_fields=give_rule(row, did(rule)))
        assert refresh() == ["build"]
    finally:
        stop.set()
        reader.join()
    assert seen == {frozenset(old), frozenset(new)}


@pytest.mark.parametrize("point", POINTS)
def test_a_stop_leaves_the_old_members_whole(point: str) -> None:
    row, old, new = half_and_half()
    outcome: list[bool] = []
    settle_log()
    with at(point, lambda: outcome.append(cancel_run(SegmentRun.objects.get(state="running")))):
        assert [report.mode for report in refresh_due(NOW)] == ["cancelled"]
    assert outcome == [True]
    assert seen_everywhere(row) == [old] * 5
    assert is_settled(row)
    assert (row.state, row.size, row.built_number, row.rule_number) == ("paused", 10, 1, 2)
    run = SegmentRun.objects.latest("id")
    assert (run.state, run.entered, run.left) == ("cancelled", 0, 0)
    assert run.finished_at is not None
    assert refresh() == []
    Segment.objects.update(state="active")
    assert refresh() == ["build"]
    assert seen_everywhere(row) == [new] * 5
    assert is_settled(row)


@pytest.mark.parametrize("point", POINTS)
def test_a_failure_leaves_the_old_members_whole(point: str) -> None:
    row, old, new = half_and_half(fire=True)
    settle_log()
    with at(point, fall):
        assert [report.mode for report in refresh_due(NOW)] == ["failed"]
    assert seen_everywhere(row) == [old] * 5
    row.refresh_from_db()
    assert (row.last_error, row.size) == ("RuntimeError: the lights went out", 10)
    assert [run.state for run in SegmentRun.objects.order_by("id")] == ["done", "failed"]
    assert refresh() == ["build"]
    assert seen_everywhere(row) == [new] * 5
    assert (told("@segment_entered"), told("@segment_left")) == (sorted(new - old), sorted(old - new))
    assert is_settled(row)


@pytest.mark.parametrize("point", AFTER)
def test_what_fails_after_the_exchange_is_told_by_the_next_look_once(point: str) -> None:
    row, old, new = half_and_half(fire=True)
    settle_log()
    with at(point, fall):
        assert [report.mode for report in refresh_due(NOW)] == ["failed"]
    assert seen_everywhere(row) == [new] * 5
    assert len(told("@segment_entered")) + len(told("@segment_left")) == 3 * (int(point[-1]) - 1)
    row.refresh_from_db()
    assert (row.built_number, row.fire_on_build, row.size) == (2, False, 9)
    assert refresh() == ["changed"]
    assert (told("@segment_entered"), told("@segment_left")) == (sorted(new - old), sorted(old - new))
    assert is_settled(row)
    rows = Membership.rows.count()
    assert refresh() == ["changed"]
    assert (len(told("@segment_entered")), Membership.rows.count()) == (7, rows)


def test_readers_of_a_silently_exchanged_segment_are_built_with_it_even_if_it_was_killed_after() -> None:
    row, old, new = half_and_half()
    Segment.objects.create(key="zz", name="Outer", rule=inside("some"))
    settle_log()
    with at("refresh.settle:1", fall):
        assert [report.mode for report in refresh_due(NOW)] == ["failed", "build"]
    assert members("zz") == new
    assert refresh() == ["changed", "changed"]
    assert told("@segment_entered") == []
    row.refresh_from_db()
    row.save(update_fields=give_rule(row, did("Viewed")))
    assert refresh() == ["build", "build"]
    assert members("zz") == old


def test_history_that_moves_many_is_stated_and_triggers_nothing() -> None:
    """What caused each move is known after the exchange too, though the cursor has moved on."""
    _row, old, new = half_and_half(fire=True)
    more = [make_profile(email=f"late{n}@example.com") for n in range(4)]
    for person in more:
        make_fact(person, "Bought", at=NOW, live=False)
    assert refresh() == ["build"]
    late = {person.pk for person in more}
    rows = dict(Event.objects.filter(name="@segment_entered").values_list("profile_id", "live"))
    assert rows == {pk: pk not in late for pk in (new | late) - old}


def test_a_fact_that_came_between_is_seen_by_the_next_look() -> None:
    _row, _old, new = half_and_half(fire=True)
    late = make_profile(email="late@example.com")
    settle_log()
    with at("refresh.staged:1", lambda: make_fact(late, "Bought", at=NOW)):
        assert [report.mode for report in refresh_due(NOW)] == ["build"]
    assert members("some") == new
    assert refresh() == ["changed"]
    assert members("some") == new | {late.pk}
    assert late.pk in told("@segment_entered")


def test_another_refresh_waits_while_rows_are_written_ahead() -> None:
    row, _old, new = half_and_half()
    seen: list[str] = []

    def look() -> None:
        seen.append(refresh_segment(Segment.objects.get(pk=row.pk), NOW).mode)

    with at("refresh.staged:1", look):
        assert refresh() == ["build"]
    assert seen == ["busy"]
    assert members("some") == new


def test_a_rule_that_changes_again_meanwhile_leaves_the_old_members_whole() -> None:
    row, old, new = half_and_half()

    def again() -> None:
        fresh = Segment.objects.get(pk=row.pk)
        fresh.save(update_fields=give_rule(fresh, {"all": []}))

    with at("refresh.staged:1", again):
        assert refresh() == ["cancelled"]
    assert seen_everywhere(row)[0] == old
    assert refresh() == ["build"]
    assert members("some") == old | new
    assert is_settled(row)


def test_a_person_who_asks_that_a_build_under_way_fires_has_it_done_again() -> None:
    row, old, new = half_and_half()
    build_anew(row, fire=False)
    with at("refresh.staged:1", lambda: build_anew(row, fire=True)):
        assert refresh() == ["cancelled"]
    assert members("some") == old
    assert refresh() == ["build"]
    assert told("@segment_entered") == sorted(new - old)


@pytest.mark.parametrize("point", ["refresh.staged:1", "refresh.settle:1"])
def test_people_who_become_one_meanwhile_are_a_member_once(point: str) -> None:
    """Each of a leaver, a stayer and a comer is merged into each, as far as there are pairs."""
    row, old, new = half_and_half(fire=True)
    leaver, stayer, comer = sorted(old - new), sorted(old & new), sorted(new - old)
    pairs = [
        (leaver[0], comer[0]), (comer[1], leaver[1]), (leaver[2], leaver[3]), (comer[2], comer[3]),
        (stayer[0], comer[4]), (leaver[4], stayer[1]),
    ]  # fmt: skip

    def join() -> None:
        for gone, into in pairs:
            two = Profile.objects.in_bulk([gone, into])
            merge(two[gone], two[into], now=NOW, actor="root", reason="", force=True)

    settle_log()
    with at(point, join):
        assert [report.mode for report in refresh_due(NOW)] == ["build"]
    assert refresh() == ["changed"]
    gone = {one for one, _ in pairs}
    bought = set(Event.objects.filter(name="Bought").values_list("profile_id", flat=True))
    assert not bought & gone
    assert seen_everywhere(row) == [bought] * 5
    assert is_settled(row)
    assert max(told("@segment_entered").count(pk) for pk in new) == 1


def test_what_a_build_writes_is_the_difference_and_again_nothing() -> None:
    row, old, new = half_and_half()
    stayed = dict(Membership.objects.filter(profile__in=old & new).values_list("profile_id", "pk"))
    assert refresh() == ["build"]
    assert dict(Membership.rows.filter(profile__in=old & new).values_list("profile_id", "pk")) == stayed
    build_anew(row, fire=False)
    rows = list(Membership.rows.order_by("pk").values())
    settle_log()
    with CaptureQueriesContext(connection) as queries:
        assert [report.mode for report in refresh_due(NOW)] == ["build"]
    assert list(Membership.rows.order_by("pk").values()) == rows
    assert not [one["sql"] for one in queries if "segments_membership" in one["sql"] and "SELECT" not in one["sql"]]


CHILD = """
import django; django.setup()
from common import faults
from segments.models import Segment
from segments.refresh import everyone, refresh_due, staging
from tests.faults import handler
from tests.people import NOW
everyone.SLICE = staging.SLICE = 3
everyone.AT_ONCE = 2
faults.install(handler({fault!r}))
refresh_due(NOW)
"""


def killed_at(point: str) -> None:
    """Another process refreshes all segments and is killed by the system at the point."""
    name = str(connection.settings_dict["NAME"])
    assert "mode=memory" not in name, "another process must open this database"
    url = os.environ.get("DATABASE_URL", "")
    url = f"{url.rpartition('/')[0]}/{name}" if connection.vendor == "postgresql" else f"sqlite:///{name}"
    said = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    child = CHILD.format(fault=point.replace(":", ":kill9:"))
    assert subprocess.run([sys.executable, "-c", child], env=said).returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", ["refresh.stage:3", "refresh.staged:1"])
def test_a_killed_build_leaves_the_old_members_whole_and_is_begun_again(point: str) -> None:
    row, old, new = half_and_half(fire=True)
    settle_log()
    killed_at(point)
    assert seen_everywhere(row) == [old] * 5
    assert Membership.rows.filter(counts_from__gt=0).exists(), "some were written ahead"
    assert refresh() == ["busy"], "nobody knows yet"
    run = SegmentRun.objects.get(state="running")
    started = run.started_at - timedelta(hours=1)
    SegmentRun.objects.filter(pk=run.pk).update(started_at=started)
    assert refresh() == ["busy"], "it is judged by its last sign of life, not by when it began"
    SegmentRun.objects.filter(pk=run.pk).update(seen_at=database_now() - task.LOST - timedelta(seconds=1))
    assert refresh() == ["build"]
    run.refresh_from_db()
    assert (run.state, run.error) == ("failed", "the worker stopped")
    assert seen_everywhere(row) == [new] * 5
    assert (told("@segment_entered"), told("@segment_left")) == (sorted(new - old), sorted(old - new))
    assert is_settled(row)


@pytest.mark.parametrize("point", ["refresh.settle:1", "refresh.settle:4"])
def test_a_worker_killed_after_the_exchange_leaves_the_new_members_and_their_facts_to_the_next(point: str) -> None:
    row, old, new = half_and_half(fire=True)
    settle_log()
    killed_at(point)
    assert seen_everywhere(row) == [new] * 5
    assert not SegmentRun.objects.filter(state="running").exists()
    Segment.objects.update(state="paused")
    assert refresh() == [], "a paused segment is not refreshed, but what was begun is ended"
    assert (told("@segment_entered"), told("@segment_left")) == (sorted(new - old), sorted(old - new))
    assert is_settled(row)


def test_what_a_killed_build_of_a_paused_segment_left_is_taken_back() -> None:
    row, old, _new = half_and_half()
    settle_log()
    killed_at("refresh.staged:1")
    assert cancel_run(SegmentRun.objects.get(state="running"))
    assert refresh() == []
    assert seen_everywhere(row) == [old] * 5
    assert is_settled(row)
