"""The beat of a back-test: what the timetable does with the real clock, done once for each moment of a set one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from campaigns import engine, react, schedule, touches
from campaigns.overfull import end_overfull
from common.periods import local_date
from messaging import consents
from messaging.asking import ask_all
from messaging.best_hours import learn_hours
from messaging.fallback import fall_back
from messaging.models import Delivery
from messaging.outbox.send import send_due
from messaging.outbox.sweep import sweep
from messaging.sunset import run_sunset
from segments import health_scores, scores
from segments.growth import coupons, levels, missions, points_due, redemptions
from segments.models import Event
from segments.refresh import refresh_due

ROUNDS = 5  # what a fact brings about may bring about another, within one look
WORKER = "rehearsal"
SHARD = 0  # in which everybody of a store is: readers that find nobody cost as much as those that find somebody
WAITS = ("held", "planned")
CROWDED = frozenset({"cap", "gap", "own", "priority", "leaves"})


class Beat:
    """Looks, one after the other. A fact that nobody has read yet is what the readers are called for."""

    def __init__(self) -> None:
        self.read = 0

    def look(self, now: datetime, *, before: datetime | None) -> None:
        """Let everything that is due at `now` happen. `before` is the last look; a new local day brings what is done
        once a day."""
        if before is None or _day(now) != _day(before):
            daily(now)
        for _ in range(ROUNDS):
            if not self._round(now):
                return

    def _round(self, now: datetime) -> bool:
        """One turn of the readers and workers; whether it moved anything that others may wait for."""
        newest = _newest()
        fresh, self.read = newest > self.read, newest
        moved = read_facts(now) if fresh else 0
        _until_still(lambda: sum(scores.score_changed(now, shards=[SHARD]).values()))
        _until_still(lambda: sum(health_scores.judge_changed(now, shards=[SHARD]).values()))
        moved += sum(done.entered + done.left for done in refresh_due(now))
        moved += schedule.run_schedules(now)["entered"]
        if fresh:
            moved += _until_still(lambda: react.react_shard(SHARD, now))
        end_overfull(now)
        moved += engine.advance(now).claimed
        ask_all(now)
        sweep(now)
        moved += send_due(worker=WORKER, now_fn=lambda: now).claimed
        fall_back(now)
        return moved > 0 or _newest() > self.read


def read_facts(now: datetime) -> int:
    """Consents, missions, coupons that were used, touches and conversions; how many facts were read."""
    readers = (consents.read_shard, missions.count_shard, redemptions.redeem_shard, touches.touch_shard)
    return sum(_until_still(partial(read, SHARD, now)) for read in readers)


def daily(now: datetime) -> None:
    """What runs out, and habits."""
    points_due.release_due(now)
    points_due.expire_due(now)
    coupons.expire_coupons(now)
    levels.renew_due(now)
    run_sunset(now)
    learn_hours(now)


def held_back() -> dict[int, str]:
    """What waits now because of a cap, a gap, a wish or a rival message, by message."""
    rows = Delivery.objects.filter(state__in=WAITS).exclude(reason="").values_list("pk", "reason")
    return {pk: reason for pk, reason in rows if reason.partition(":")[0] in CROWDED}


def _newest() -> int:
    return Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _until_still(work: Callable[[], int]) -> int:
    """Do it until it finds nothing more; how much it found in all."""
    total = 0
    while found := work():
        total += found
    return total


def _day(at: datetime) -> Any:
    return local_date(at, ZoneInfo(settings.WORKSPACE_ZONE))
