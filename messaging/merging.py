"""When two profiles become one: messages, addresses and statements of will follow, so that caps count all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from messaging.models import Address, Consent, Delivery
from segments.bulk import given
from segments.merge import MergeHandler, Pair, family, handlers

COLUMNS = (("frm", "bigint"), ("tgt", "bigint"))
TABLES = tuple(model._meta.db_table for model in (Delivery, Address, Consent))


@handlers.register("messages")
class Messages(MergeHandler):
    """A message that a worker has claimed but not begun goes back to the plan: it is gated anew for the one person."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        claimed = Delivery.objects.filter(profile__in=[pair.gone for pair in pairs], state=Delivery.State.CLAIMED)
        claimed.update(state=Delivery.State.PLANNED, lease_token=None, lease_until=None)
        source, params = given(COLUMNS, [(pair.gone, pair.into) for pair in pairs])
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(
                    f"UPDATE {table} SET profile_id = given.tgt, origin = COALESCE({table}.origin, {table}.profile_id)"
                    f" FROM {source} WHERE {table}.profile_id = given.frm",
                    params,
                )

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            for model in (Delivery, Address, Consent):
                rows = model._default_manager.filter(profile=pair.into, origin__in=family(pair.gone))
                ids = list(rows.values_list("pk", flat=True))
                model._default_manager.filter(pk__in=ids).update(profile=pair.gone)
                model._default_manager.filter(pk__in=ids, origin=pair.gone).update(origin=None)
