"""The timetable: which task looks at the world how often, kept in the database where operators can see it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PREFIX = "perennial:"
HINT_SECONDS = 60


@dataclass(frozen=True)
class Entry:
    """One line: `task` by its full name, `every` so many seconds, and what it is for."""

    task: str
    every: int
    purpose: str


TIMETABLE: dict[str, Entry] = {
    "react": Entry("campaigns.tasks.react", 2, "Read new facts: triggers, goals, exits and waits"),
    "advance": Entry("campaigns.tasks.advance", 2, "Move the enrolments that are due"),
    "schedule": Entry("campaigns.tasks.schedule", 15, "Start the journeys whose time has come"),
    "transfer": Entry("campaigns.tasks.transfer", 5, "Move people under way to newer versions"),
    "rehearse": Entry("campaigns.tasks.rehearse", 5, "Go on with back-tests that were asked for"),
    "credit": Entry("campaigns.tasks.credit", 10, "Build touches and credit conversions"),
    "send": Entry("messaging.tasks.send", 2, "Send the messages that are due"),
    "write-copy": Entry("messaging.tasks.write_copy", 5, "Ask the model for words that people wished for"),
    "sweep": Entry("messaging.tasks.sweep", 15, "Free what a dead worker held"),
    "listen": Entry("messaging.tasks.listen", 2, "Judge clicks and match receipts that waited"),
    "reconcile": Entry("messaging.tasks.reconcile", 3600, "Count the ledger against itself, once a day"),
    "fetch-mail": Entry("messaging.tasks.fetch", 60, "Fetch bounces, complaints and replies from mailboxes"),
    "keep-habits": Entry("messaging.tasks.keep_habits", 86400, "Slow down for who does not read, learn best hours"),
    "refresh": Entry("segments.tasks.refresh", 10, "Bring the members of segments up to date"),
    "score": Entry("segments.tasks.score", 10, "Score the people who changed or fell silent"),
    "judge": Entry("segments.tasks.judge", 10, "Judge the health of people who changed or fell silent"),
    "count-missions": Entry("segments.tasks.count_missions", 5, "Count facts for missions"),
    "watch-coupons": Entry("segments.tasks.watch_coupons", 60, "Tell when a coupon pool runs low"),
    "expire-points": Entry("segments.tasks.expire_points", 3600, "Let points expire"),
    "learn": Entry("segments.tasks.learn", 60, "Learn which properties the events have"),
    "finish-merges": Entry("segments.tasks.finish_merges", 300, "Finish merges that were left half-way"),
    "finish-erasures": Entry("segments.tasks.finish_erasures", 86400, "Erase what came late about erased people"),
    "prune": Entry("config.tasks.prune", 3600, "Forget old slots and silent processes"),
}
PERIODS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def name_of(key: str) -> str:
    return f"{PREFIX}{key}"


def is_ours(name: str) -> bool:
    """Whether a periodic task's name is a line of this timetable."""
    return name.startswith(PREFIX) and name.removeprefix(PREFIX) in TIMETABLE


def interval_of(name: str) -> int | None:
    """Seconds of a slot of ours as it stands in the database, where an operator may have changed it.

    None for a name that is not ours.
    """
    if not is_ours(name):
        return None
    from django_celery_beat.models import PeriodicTask

    row = PeriodicTask.objects.filter(name=name).values_list("interval__every", "interval__period").first()
    if row is None or row[0] is None or row[1] not in PERIODS:
        return TIMETABLE[name.removeprefix(PREFIX)].every
    return int(row[0]) * PERIODS[row[1]]


def sync_timetable() -> list[str]:
    """Bring our own rows in line with TIMETABLE; returns what was done, empty when nothing was.

    Rows without our prefix are never touched. Of ours, an operator's switch (enabled) is kept for ever, and an
    interval that differs from the one we last wrote is the operator's and is kept too. Rows of ours that the
    timetable no longer has are deleted.
    """
    from django_celery_beat.models import PeriodicTask

    rows = {row.name: row for row in PeriodicTask.objects.filter(name__startswith=PREFIX)}
    done = []
    for key, entry in TIMETABLE.items():
        row = rows.pop(name_of(key), None)
        if row is None:
            _create(key, entry)
            done.append(f"added {name_of(key)}")
        elif _update(row, entry):
            done.append(f"changed {row.name}")
    for row in rows.values():
        row.delete()
        done.append(f"removed {row.name}")
    return done


def _create(key: str, entry: Entry) -> None:
    from django_celery_beat.models import PeriodicTask

    PeriodicTask.objects.create(name=name_of(key), interval=_interval(entry.every), **_fields(entry))


def _update(row: Any, entry: Entry) -> bool:
    """Write what differs; whether anything did."""
    before = {name: getattr(row, name) for name in _fields(entry)} | {"interval_id": row.interval_id}
    ours = int((_headers(row) or {}).get("every", 0))
    if _seconds(row) == ours:
        row.interval = _interval(entry.every)
    for name, value in _fields(entry).items():
        setattr(row, name, value)
    after = {name: getattr(row, name) for name in _fields(entry)} | {"interval_id": row.interval_id}
    if before == after:
        return False
    row.save()
    return True


def _fields(entry: Entry) -> dict[str, Any]:
    return {
        "task": entry.task,
        "description": entry.purpose,
        "expire_seconds": HINT_SECONDS,
        "headers": f'{{"every": {entry.every}}}',
    }


def _headers(row: Any) -> dict[str, Any]:
    return dict(json.loads(row.headers or "{}"))


def _seconds(row: Any) -> int:
    """The row's interval; 0 when it runs by something else (a crontab of the operator's)."""
    return int(row.interval.every) * PERIODS.get(row.interval.period, 0) if row.interval else 0


def _interval(every: int) -> Any:
    from django_celery_beat.models import IntervalSchedule

    found = IntervalSchedule.objects.filter(every=every, period=IntervalSchedule.SECONDS).first()
    return found or IntervalSchedule.objects.create(every=every, period=IntervalSchedule.SECONDS)


def enabled_intervals() -> dict[str, int]:
    """Our lines that are switched on: name to seconds."""
    from django_celery_beat.models import PeriodicTask

    rows = PeriodicTask.objects.filter(name__startswith=PREFIX, enabled=True).select_related("interval")
    return {row.name: _seconds(row) for row in rows if row.interval}
