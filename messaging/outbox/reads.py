"""Reading the ledger: balances that always add up, and what waits for what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min

from messaging.models import Delivery


@dataclass(frozen=True)
class Balance:
    """Where the messages of a selection are: planned = sent + skipped + failed + waiting + in doubt."""

    planned: int = 0
    sent: int = 0
    skipped: int = 0
    failed: int = 0
    waiting: int = 0
    in_doubt: int = 0
    ghosts: int = 0  # of the skipped

    @property
    def adds_up(self) -> bool:
        return self.planned == self.sent + self.skipped + self.failed + self.waiting + self.in_doubt


def balance(**selection: Any) -> Balance:
    """The balance of the deliveries that match ORM lookups (campaign="spring", journey=…, planned_at__gte=…).
    One statement."""
    by_state: dict[str, int] = {}
    ghosts = 0
    rows = Delivery.objects.filter(**selection).order_by().values_list("state", "ghost").annotate(n=Count("pk"))
    for state, ghost, count in rows:
        by_state[state] = by_state.get(state, 0) + count
        ghosts += count if ghost and state in Delivery.SKIPPED_STATES else 0

    def total(states: tuple[str, ...]) -> int:
        return sum(by_state.get(state, 0) for state in states)

    return Balance(
        planned=sum(by_state.values()),
        sent=total(("accepted",)),
        skipped=total(Delivery.SKIPPED_STATES),
        failed=total(Delivery.FAILED),
        waiting=total(Delivery.WAITING),
        in_doubt=total(Delivery.DOUBTFUL),
        ghosts=ghosts,
    )


def reasons(**selection: Any) -> dict[tuple[str, str], int]:
    """How many messages stand in each (state, reason), most first."""
    rows = Delivery.objects.filter(**selection).order_by().values_list("state", "reason").annotate(n=Count("pk"))
    return {(state, reason): count for state, reason, count in rows.order_by("-n", "state", "reason")}


def oldest_due(now: datetime) -> datetime | None:
    """Since when the longest-waiting due message waits; None when nothing is due. For health."""
    due = Delivery.objects.filter(state="planned", not_before__lte=now)
    oldest: datetime | None = due.aggregate(oldest=Min("not_before"))["oldest"]
    return oldest
