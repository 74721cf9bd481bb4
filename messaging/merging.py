"""When two profiles become one: messages, addresses and statements of will follow, so that caps count all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from messaging.models import Address, Consent, Delivery, Preference
from segments.merge import MergeHandler, Pair, family, handlers, move_rows
from segments.models import Profile
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


RATE = {"day": 30.0, "week": 30 / 7, "month": 1.0}  # how many of each are a month, to tell which limit is stricter


@handlers.register("wishes")
class Wishes(MergeHandler):
    """Of two wishes the stricter holds for the one person: fewer messages, the longer break, no profiling. The row of
    who is gone stays as it was, so that both have their own after a way back; the stricter stays then, too."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        into = {pair.gone: pair.into for pair in pairs}
        for wish in Preference.objects.filter(profile__in=into).order_by("profile"):
            _join(wish, into[wish.profile_id], now)
        refused = Profile.objects.filter(pk__in=into, no_profiling=True).values_list("pk", flat=True)
        Profile.objects.filter(pk__in={into[pk] for pk in refused}).update(no_profiling=True)


def _join(wish: Preference, into: int, now: datetime) -> None:
    kept, _new = Preference.objects.get_or_create(profile_id=into, defaults={"updated_at": now, "source": "merge"})
    if _monthly(wish) < _monthly(kept):
        kept.at_most, kept.period, kept.replaces = wish.at_most, wish.period, wish.replaces
    if wish.paused_until is not None and (kept.paused_until is None or kept.paused_until < wish.paused_until):
        kept.paused_until = wish.paused_until
    kept.save()


def _monthly(wish: Preference) -> float:
    return float("inf") if wish.at_most is None else wish.at_most * RATE[wish.period]
