"""When two profiles become one: messages, addresses and statements of will follow, so that caps count all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from messaging.models import Address, Consent, Delivery
from segments.merge import MergeHandler, Pair, family, handlers, move_rows
from segments.unmerge import return_rows

TABLES = tuple(model._meta.db_table for model in (Delivery, Address, Consent))


@handlers.register("messages")
class Messages(MergeHandler):
    """A message that a worker has claimed but not begun goes back to the plan: it is gated anew for the one person."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        claimed = Delivery.objects.filter(profile__in=[pair.gone for pair in pairs], state=Delivery.State.CLAIMED)
        claimed.update(state=Delivery.State.PLANNED, lease_token=None, lease_until=None)
        for table in TABLES:
            move_rows(table, pairs)

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            origins = family(pair.gone)
            for table in TABLES:
                return_rows(table, pair, origins)
