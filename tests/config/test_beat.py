"""The timetable in the database: ours is kept in line, an operator's word stands, and two beats do no harm."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from common import clock
from common.models import Tick
from config import beat
from config.beat import TIMETABLE, Entry, enabled_intervals, interval_of, sync_timetable
from tests.harness import Cluster, wait_until


def seconds(every: int) -> IntervalSchedule:
    return IntervalSchedule.objects.get_or_create(every=every, period="seconds")[0]


@pytest.mark.django_db
def test_the_migrations_wrote_it_and_a_second_sync_finds_nothing() -> None:
    ours = PeriodicTask.objects.filter(name__startswith="perennial:")
    assert {row.name: row.task for row in ours} == {f"perennial:{k}": e.task for k, e in TIMETABLE.items()}
    assert {row.expire_seconds for row in ours} == {60}
    assert all(row.enabled for row in ours)
    assert sync_timetable() == []


@pytest.mark.django_db
def test_operators_rows_are_never_touched() -> None:
    crontab = CrontabSchedule.objects.create(hour="9", minute="0")
    mine = PeriodicTask.objects.create(name="nightly report", task="my.task", crontab=crontab, args="[1]")
    near = PeriodicTask.objects.create(name="perennial", task="messaging.tasks.send", interval=seconds(7))
    before = list(PeriodicTask.objects.filter(pk__in=[mine.pk, near.pk]).values())
    PeriodicTask.objects.filter(name="perennial:send").delete()
    assert sync_timetable() == ["added perennial:send"]
    assert list(PeriodicTask.objects.filter(pk__in=[mine.pk, near.pk]).values()) == before


@pytest.mark.django_db
def test_an_operators_switch_and_interval_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    PeriodicTask.objects.filter(name="perennial:score").update(enabled=False)
    PeriodicTask.objects.filter(name="perennial:refresh").update(interval=seconds(300))
    changed = {
        **TIMETABLE,
        "score": Entry("segments.tasks.score", 20, "New words"),
        "refresh": Entry("segments.tasks.refresh", 20, "New words"),
    }
    monkeypatch.setattr(beat, "TIMETABLE", changed)
    assert sorted(sync_timetable()) == ["changed perennial:refresh", "changed perennial:score"]
    score = PeriodicTask.objects.get(name="perennial:score")
    refresh = PeriodicTask.objects.get(name="perennial:refresh")
    assert (score.enabled, score.interval.every, score.description) == (False, 20, "New words")
    assert (refresh.enabled, refresh.interval.every, refresh.description) == (True, 300, "New words")
    assert interval_of("perennial:refresh") == 300
    assert "perennial:score" not in enabled_intervals()
    assert sync_timetable() == []


@pytest.mark.django_db
def test_a_line_that_is_gone_from_the_code_goes_from_the_database() -> None:
    headers = json.dumps({"every": 5})
    PeriodicTask.objects.create(name="perennial:old", task="gone.task", interval=seconds(5), headers=headers)
    assert sync_timetable() == ["removed perennial:old"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "nightly", "perennial:unknown"])
def test_only_our_names_have_slots(name: str) -> None:
    assert interval_of(name) is None


def test_every_line_names_a_task_that_exists() -> None:
    from config.celery import app

    app.loader.import_default_modules()
    assert [entry.task for entry in TIMETABLE.values() if entry.task not in app.tasks] == []


def test_two_beats_and_a_killed_one_run_each_slot_once(cluster: Cluster) -> None:
    PeriodicTask.objects.exclude(name="perennial:prune").update(enabled=False)
    PeriodicTask.objects.filter(name="perennial:prune").update(interval=seconds(1))
    cluster.start_worker()
    beats = [cluster.start_beat(1), cluster.start_beat(2)]
    wait_until(lambda: ran() >= 4, seconds=40, what="four slots")
    beats[0].kill()
    cluster.start_beat(3)
    seen = ran()
    wait_until(lambda: ran() >= seen + 4, seconds=40, what="four more slots")
    slots: Any = Tick.objects.filter(schedule="perennial:prune").values_list("slot", flat=True)
    assert max(Counter(slots).values()) == 1
    assert Tick.objects.filter(started_at__gt=clock.database_now() - timedelta(seconds=10)).exists()


def ran() -> int:
    return Tick.objects.filter(schedule="perennial:prune", finished_at__isnull=False, error="").count()


@pytest.mark.django_db
def test_no_second_hint_is_sent_while_the_first_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_celery_beat.schedulers import DatabaseScheduler

    from config.celery import app
    from config.scheduler import Scheduler

    sent: list[str] = []
    monkeypatch.setattr(DatabaseScheduler, "apply_async", lambda self, entry, **kwargs: sent.append(entry.name))
    scheduler = Scheduler(app=app, lazy=True)
    ours, theirs = (
        scheduler.Entry(PeriodicTask(name=name, task="t", interval=seconds(2)), app=app)
        for name in ("perennial:send", "nightly")
    )
    for _ in range(3):
        scheduler.apply_async(ours)
        scheduler.apply_async(theirs)
    assert sent == ["perennial:send", "nightly", "nightly", "nightly"]
    Tick.objects.create(schedule="perennial:send", slot=clock.database_now(), started_at=clock.database_now())
    scheduler.apply_async(ours)
    assert sent.count("perennial:send") == 2
    scheduler._sent["perennial:send"] = clock.database_now() - timedelta(seconds=61)
    scheduler.apply_async(ours)
    assert sent.count("perennial:send") == 3


@pytest.mark.slow
def test_three_beats_one_killed_every_five_seconds(cluster: Cluster) -> None:
    PeriodicTask.objects.exclude(name="perennial:prune").update(enabled=False)
    PeriodicTask.objects.filter(name="perennial:prune").update(interval=seconds(2))
    cluster.start_worker()
    beats = [cluster.start_beat(number) for number in range(3)]
    wait_until(lambda: ran() >= 1, seconds=60, what="the first slot")
    begun = clock.database_now()
    for round_ in range(8):
        time.sleep(5)
        beats[round_ % 3].kill()
        beats[round_ % 3] = cluster.start_beat(10 + round_)
    rows: Any = Tick.objects.filter(schedule="perennial:prune", started_at__gt=begun)
    slots = list(rows.values_list("slot", flat=True))
    assert len(slots) == len(set(slots))
    assert len(slots) >= 10  # of about twenty
    assert all(row.started_at - row.slot < timedelta(seconds=2) for row in rows)
