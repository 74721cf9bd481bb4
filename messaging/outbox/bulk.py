"""Acting on many waiting messages at once: counted first, then done by a named person with a reason, and audited.

A person confirms a number; when by then twice as many would be concerned, nothing is done.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from common import audit
from messaging.models import Delivery
from messaging.outbox.resend import resend, resendable
from messaging.retry import retrying

CANCEL, RETRY, RESEND = "cancel", "retry", "resend"
SCOPES = ("campaign", "journey", "channel", "klass", "account__key", "reason")
STATES = {CANCEL: ("planned", "held"), RETRY: ("held",), RESEND: ("in_doubt", "unknown")}
SLICE = 2000
MOST_RESENT = 1000  # each one is a decision of its own in the audit log


class Grown(ValueError):
    """More messages would be concerned than were confirmed."""

    def __init__(self, confirmed: int, found: int) -> None:
        super().__init__(f"{confirmed} were confirmed, {found} would be concerned")
        self.confirmed, self.found = confirmed, found


def concerned(action: str, *, now: datetime, **selection: Any) -> QuerySet[Delivery]:
    """The messages that an action would concern. `selection` is by SCOPES; without any it is all that wait."""
    wrong = selection.keys() - set(SCOPES)
    if wrong:
        raise ValueError(f"no such scope: {sorted(wrong)}")
    rows = Delivery.objects.filter(state__in=STATES[action], ghost=False, **selection)
    return rows & resendable(now) if action == RESEND else rows


def act(action: str, *, confirmed: int, by: Any, why: str, now: datetime, **selection: Any) -> int:
    """Do it; returns how many messages it concerned. Raises Grown when they are more than twice those confirmed."""
    rows = concerned(action, now=now, **selection)
    found = rows.count()
    if found > max(2 * confirmed, confirmed + 10):
        raise Grown(confirmed, found)
    done = _resend(rows, by, why, now) if action == RESEND else _move(rows, action, now)
    said = {**{name: str(value) for name, value in selection.items()}, "confirmed": confirmed, "done": done}
    audit.record(f"outbox.{action}", "outbox", now=now, actor=by, reason=why, detail=said)
    return done


def _move(rows: QuerySet[Delivery], action: str, now: datetime) -> int:
    """Cancel, or plan what is held for now (the gates look again), in short transactions."""
    to: dict[str, Any] = {"state": "cancelled", "reason": "by_hand", "settled_at": now}
    if action == RETRY:
        to = {"state": "planned", "reason": "", "not_before": now}
    total = 0
    while True:

        def work() -> int:
            with transaction.atomic():
                locked = rows.select_for_update(skip_locked=True, no_key=True, of=("self",)).order_by("pk")
                ids = list(locked.values_list("pk", flat=True)[:SLICE])
                return Delivery.objects.filter(pk__in=ids, state__in=STATES[action]).update(**to) if ids else 0

        moved = retrying(work)
        total += moved
        if moved < SLICE:
            return total


def _resend(rows: QuerySet[Delivery], by: Any, why: str, now: datetime) -> int:
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:MOST_RESENT])
    return sum(resend(pk, now=now, by=by, why=why) for pk in ids)
