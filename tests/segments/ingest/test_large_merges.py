"""Somebody very large turns out to be known: in pieces of short transactions, whatever falls on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from common.faults import install
from segments.imports.options import Options
from segments.imports.run import make_job, run_import
from segments.ingest import ingest
from segments.merge import merge
from segments.models import Event, EventStats, Identity, ImportJob, Merge, Profile
from segments.unfinished import _finish, finish_merges
from segments.unmerge import undo
from tests.people import NOW, make_fact, make_order, make_profile, make_source

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=1)
IDENTIFY = {"type": "identify", "userId": "mei", "anonymousId": "v", "messageId": "i"}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.merge_pieces.STEP", 5)
    monkeypatch.setattr("segments.merge_pieces.MOST", 12)
    monkeypatch.setattr("segments.unmerge.STEP", 5)


def visitor(name: str = "v", facts: int = 23, orders: int = 0) -> Profile:
    """Somebody unknown with so many facts (beside those of the orders)."""
    person = make_profile(anonymous_id=name)
    for n in range(facts):
        make_fact(person, "Viewed", at=NOW + timedelta(minutes=n))
    for n in range(orders):
        make_order(person, f"{name}-{n}")
    return person


def take(*calls: dict[str, Any], now: datetime = NOW) -> list[str]:
    return [row.code or row.status for row in ingest(list(calls), source=make_source(), now=now)]


@contextmanager
def falling(point: str, nth: int = 1) -> Iterator[None]:
    seen = 0

    def fall(name: str) -> None:
        nonlocal seen
        seen += name == point
        if name == point and seen == nth:
            raise InterruptedError(name)

    install(fall)
    try:
        with pytest.raises(InterruptedError):
            yield
    finally:
        install(None)


@contextmanager
def largest_move() -> Iterator[list[int]]:
    """Rows of the log that each statement changed."""
    moved: list[int] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if sql.startswith(('UPDATE "segments_event"', "UPDATE segments_event ")):
            moved.append(context["cursor"].rowcount)
        return answer

    with connection.execute_wrapper(watch):
        yield moved


def facts_of(person: Profile) -> int:
    return Event.objects.filter(profile=person, name="Viewed").count()


def test_a_batch_that_names_a_large_visitor_moves_them_in_pieces() -> None:
    gone, mei = visitor(orders=11), make_profile(user_id="mei")
    with largest_move() as moved:
        assert take(IDENTIFY) == ["stored"]
    assert max(moved) == 5
    assert facts_of(mei) == 23
    assert {row.name: row.count for row in EventStats.objects.filter(profile=mei)} == {
        "Viewed": 23,
        "Order Completed": 11,
        "identify": 1,
    }
    row = Merge.objects.get()
    assert (row.gone, row.into, row.actor_name, row.finished_at) == (gone, mei, "ingest", NOW)
    assert row.rows_moved == 30 + 10
    assert take(IDENTIFY) == ["known"]
    gone.refresh_from_db()
    undo(gone, now=LATER, actor="root", reason="two")
    assert (facts_of(gone), facts_of(mei)) == (23, 0)
    assert EventStats.objects.get(profile=gone, name="Viewed").count == 23


def test_small_visitors_take_no_detour_and_many_of_them_share_the_room() -> None:
    for n in range(6):
        visitor(f"v{n}", facts=4)
        make_profile(user_id=f"u{n}")
    calls = [{**IDENTIFY, "userId": f"u{n}", "anonymousId": f"v{n}", "messageId": f"{n}"} for n in range(6)]
    with largest_move() as moved:
        assert take(*calls[:3]) == ["stored"] * 3
        assert moved == [12]
        assert take(*calls[3:]) == ["stored"] * 3
    assert max(moved) == 12
    assert set(Merge.objects.values_list("rows_moved", flat=True)) == {0}


@pytest.mark.parametrize("nth", [1, 2, 4])
def test_a_fall_between_two_pieces_is_made_good_by_the_same_batch(nth: int) -> None:
    gone, mei = visitor(), make_profile(user_id="mei")
    with falling("merge.piece", nth):
        take(IDENTIFY)
    assert (facts_of(mei), facts_of(gone)) == (5 * nth, 23 - 5 * nth)
    row = Merge.objects.get()
    assert (row.finished_at, row.rows_moved, row.moved_at) == (None, 5 * nth, NOW)
    assert not Event.objects.filter(kind="identify").exists()
    assert take(IDENTIFY) == ["stored"]
    assert facts_of(mei) == EventStats.objects.get(profile=mei, name="Viewed").count == 23
    assert Merge.objects.get().finished_at == NOW


def test_what_nobody_comes_back_for_is_finished_by_the_timetable() -> None:
    gone, mei = visitor(), make_profile(user_id="mei")
    with falling("merge.piece", 2):
        take(IDENTIFY)
    assert finish_merges(NOW + timedelta(minutes=9)) == {"finished": 0, "taken_back": 0, "failed": 0}
    assert finish_merges(LATER) == {"finished": 1, "taken_back": 0, "failed": 0}
    gone.refresh_from_db()
    assert gone.merged_into == mei
    assert facts_of(mei) == EventStats.objects.get(profile=mei, name="Viewed").count == 23
    assert finish_merges(LATER + timedelta(hours=1)) == {"finished": 0, "taken_back": 0, "failed": 0}
    assert Identity.objects.get(value="v").profile == mei


def test_two_looks_at_once_finish_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, mei = visitor(), make_profile(user_id="mei")
    with falling("merge.piece", 2):
        take(IDENTIFY)
    seen: list[dict[str, int]] = []

    def the_other(name: str) -> None:
        if name == "merge.piece" and not seen:
            seen.append({})
            seen[0] |= finish_merges(LATER)

    install(the_other)
    try:
        assert finish_merges(LATER) == {"finished": 1, "taken_back": 0, "failed": 0}
    finally:
        install(None)
    assert seen == [{"finished": 0, "taken_back": 0, "failed": 0}]  # it moves just now
    with falling("before_merge_commit"):
        merge(visitor("w"), mei, now=NOW, actor="root", reason="")
    stale = Merge.objects.get(finished_at=None)
    merge(stale.gone, mei, now=NOW, actor="root", reason="")
    assert _finish(stale, now=LATER) == "finished"
    assert set(Merge.objects.values_list("undone_at", flat=True)) == {None}
    gone.refresh_from_db()
    assert gone.merged_into == mei
    assert facts_of(mei) == EventStats.objects.get(profile=mei, name="Viewed").count == 46


def test_a_merge_that_may_no_longer_be_is_taken_back() -> None:
    gone, mei = visitor(), make_profile(user_id="mei")
    with falling("merge.piece", 2):
        take(IDENTIFY)
    assert take({**IDENTIFY, "userId": "bo", "messageId": "b"}) == ["stored"]  # the visitor is somebody else
    assert finish_merges(LATER) == {"finished": 0, "taken_back": 1, "failed": 0}
    assert (facts_of(gone), facts_of(mei)) == (23, 0)
    assert Identity.objects.get(value="bo").profile == Identity.objects.get(value="v").profile == gone
    assert Merge.objects.get().undone_at == LATER
    assert not Event.objects.filter(origin__isnull=False).exists()


def test_a_visitor_on_the_way_to_one_who_turns_out_to_be_another() -> None:
    gone, mei, bo = visitor(), make_profile(user_id="mei"), make_profile(user_id="bo")
    with falling("merge.piece", 2):
        take(IDENTIFY)
    assert take({**IDENTIFY, "userId": "bo", "messageId": "b"}) == ["stored"]
    assert (facts_of(gone), facts_of(mei), facts_of(bo)) == (0, 0, 23)
    assert EventStats.objects.get(profile=bo, name="Viewed").count == 23
    assert sorted(Merge.objects.values_list("into", "undone_at")) == [(mei.pk, NOW), (bo.pk, None)]


def test_a_person_whom_the_batch_itself_makes_becomes_part_of_the_visitor() -> None:
    """No fact moves for a name that nobody had before, whichever call of the batch comes first."""
    gone = visitor()
    calls = [{"type": "track", "event": "Left", "userId": "new", "messageId": "t"}, {**IDENTIFY, "userId": "new"}]
    with largest_move() as moved:
        assert take(*calls) == ["stored", "stored"]
    assert moved == []
    assert Profile.objects.get() == gone
    assert set(gone.identities.values_list("kind", "value")) == {("user_id", "new"), ("anonymous_id", "v")}
    assert Event.objects.get(name="Left").profile == gone
    gone.refresh_from_db()
    assert (gone.registered_at, Merge.objects.count()) == (NOW, 0)


def test_an_import_moves_them_in_pieces_between_its_own(tmp_path: Path) -> None:
    visitor()
    mei = make_profile(user_id="mei")
    path = tmp_path / "people.csv"
    path.write_text("id,visitor\nmei,v\nbo,w\n")
    options = Options(fields={"user_id": "id", "anonymous_id": "visitor"})
    job = make_job(path, "profiles", make_source("file", kind="import"), options)
    with largest_move() as moved:
        with falling("merge.piece", 3):
            run_import(job, now=NOW)
        assert (ImportJob.objects.get().rows_done, facts_of(mei)) == (0, 15)
        done = run_import(job, now=NOW)
    assert moved == [5, 5, 5, 8]  # what was left is small enough for the import's own piece
    assert (done.rows_done, done.rows_stored, done.rows_known, done.state) == (2, 2, 0, "done")
    assert facts_of(mei) == EventStats.objects.get(profile=mei, name="Viewed").count == 23


CHILD = """
import django; django.setup()
from segments.ingest import ingest
from segments.models import Source
from tests.people import NOW
import segments.merge_pieces as pieces
pieces.STEP, pieces.MOST = 50, 100
call = {"type": "identify", "userId": "mei", "anonymousId": "v", "messageId": "i"}
print(ingest([call], source=Source.objects.get(key="web"), now=NOW))
"""


def test_a_process_killed_for_real_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    name = str(connection.settings_dict["NAME"])
    assert "mode=memory" not in name, "another process must open this database"
    gone, mei = make_profile(anonymous_id="v"), make_profile(user_id="mei")
    make_source()
    with transaction.atomic():
        for n in range(600):
            make_fact(gone, "Viewed", at=NOW + timedelta(minutes=n))
    url = os.environ.get("DATABASE_URL", "")
    url = f"{url.rpartition('/')[0]}/{name}" if connection.vendor == "postgresql" else f"sqlite:///{name}"
    said = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    child = subprocess.Popen([sys.executable, "-c", CHILD], env=said, stdout=subprocess.PIPE)
    while child.poll() is None and not Merge.objects.filter(rows_moved__gt=0).exists():
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -9
    row = Merge.objects.get()
    assert row.finished_at is None
    assert 0 < row.rows_moved < 600
    assert row.rows_moved == facts_of(mei)
    monkeypatch.setattr("segments.merge_pieces.STEP", 50)
    assert take(IDENTIFY) == ["stored"]
    assert facts_of(mei) == EventStats.objects.get(profile=mei, name="Viewed").count == 600


@contextmanager
def longest_transaction(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds that each outermost transaction was open."""
    open_since: list[float] = []
    spans: list[float] = []
    enter, leave = transaction.Atomic.__enter__, transaction.Atomic.__exit__

    def begin(self: Any) -> None:
        open_since.append(time.monotonic())
        enter(self)

    def end(self: Any, *raised: Any) -> None:
        leave(self, *raised)
        since = open_since.pop()
        if not open_since:
            spans.append(time.monotonic() - since)

    with monkeypatch.context() as patch:
        patch.setattr(transaction.Atomic, "__enter__", begin)
        patch.setattr(transaction.Atomic, "__exit__", end)
        yield spans


@pytest.mark.slow
def test_no_transaction_takes_long_for_a_person_with_100_000_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    gone, mei, source = make_profile(anonymous_id="v"), make_profile(user_id="mei"), make_source()
    for start in range(0, 100_000, 5000):
        calls = [
            {"type": "track", "event": "Viewed", "anonymousId": "v", "messageId": f"{n}", "properties": {"n": n}}
            for n in range(start, start + 5000)
        ]
        assert {row.status for row in ingest(calls, source=source, now=NOW)} == {"stored"}
    with longest_transaction(monkeypatch) as merging:
        assert take(IDENTIFY) == ["stored"]
    assert facts_of(mei) == EventStats.objects.get(profile=mei, name="Viewed").count == 100_000
    gone.refresh_from_db()
    with longest_transaction(monkeypatch) as parting:
        undo(gone, now=LATER, actor="root", reason="two")
    assert facts_of(gone) == EventStats.objects.get(profile=gone, name="Viewed").count == 100_000
    print(f"{len(merging)} transactions to merge, {len(parting)} to part: {max(merging):.2f} s, {max(parting):.2f} s")
    assert max(merging) < 5
    assert max(parting) < 5
