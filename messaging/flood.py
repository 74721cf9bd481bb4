"""Floods of harmful words: a source whose bounces, complaints or unsubscriptions do not fit what was sent over it.

A stolen secret, a provider's fault or a replay could report half the list dead. So harm is counted by source and kind
over a day and held against the messages that left over that account in three days. Above the share that RECEIPT_FLOOD
names, from RECEIPT_FLOOD_FEWEST words on, the source's harmful words, with those that showed it, are set aside until a
person decides (messaging.quarantine). Their addresses meanwhile get no marketing, so that a true complaint is not
answered with mail, and nothing is put on record about them. The statements do not grow with the words.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max

from messaging.models import Account, Address, Attempt, Delivery, Quarantine, Receipt
from messaging.retry import retrying

log = logging.getLogger(__name__)
Kind = Receipt.Kind
HARM = frozenset({Kind.SOFT, Kind.HARD, Kind.COMPLAINED, Kind.UNSUBSCRIBED})
WINDOW, SENT_WITHIN = timedelta(days=1), timedelta(days=3)
LOOK = 100_000  # the newest attempts among which an account's are counted, at least
STEP = 1.05  # a flood is looked for whenever its words have grown by a twentieth
_SHARE = re.compile(r"([a-z]+)=(\d+(?:\.\d+)?)%")
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


@lru_cache(maxsize=8)
def shares(text: str) -> Mapping[str, float]:
    """The setting RECEIPT_FLOOD as share by kind; a kind that is not named has no limit. Raises ValueError."""
    found = {}
    for part in text.split():
        match = _SHARE.fullmatch(part)
        if match is None or match[1] not in HARM:
            raise ValueError(f"'{part}' is not a share such as hard=15%")
        found[match[1]] = float(match[2]) / 100
    return found


def keep(rows: Sequence[Receipt], *, provider: str, now: datetime) -> None:
    """Store new words; those of a source in quarantine, or that show a flood, are stored as held."""
    harm = [row for row in rows if row.kind in HARM]
    open_one = _quarantine(harm, provider, now) if harm else None

    def work() -> None:
        with transaction.atomic():
            if open_one is not None and _still_open(open_one):
                _hold(harm, open_one)
            Receipt.objects.bulk_create(rows, ignore_conflicts=True)

    retrying(work)


def _still_open(one: Quarantine) -> bool:
    """Locked, so that nobody decides while more comes in."""
    return bool(Quarantine.objects.select_for_update(no_key=True).filter(pk=one.pk, state=Quarantine.State.OPEN))


def _hold(rows: Sequence[Receipt], one: Quarantine) -> None:
    """Mark words as held and keep marketing from the addresses they are about, locked in the order of their ids."""
    named = [(row, UUID(found[0])) for row in rows if (found := _UUID.search(str(row.raw.get("ref", ""))))]
    messages = Delivery.objects.filter(public_id__in={public for _row, public in named}, ghost=False)
    known = {public: (pk, address) for public, pk, address in messages.values_list("public_id", "pk", "address_id")}
    for row in rows:
        row.held, row.quarantine = True, one
    for row, public in named:
        row.delivery_id = known.get(public, (None, None))[0]
    free = Address.objects.filter(pk__in={address for _pk, address in known.values()}, suppressed="")
    locked = list(free.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    Address.objects.filter(pk__in=locked).update(suppressed=Address.HELD)


def _quarantine(harm: Sequence[Receipt], provider: str, now: datetime) -> Quarantine | None:
    """The open quarantine of a source, opened now if these words show a flood."""
    there = Quarantine.objects.filter(provider=provider[:40]).order_by("-pk")
    found = there.filter(state=Quarantine.State.OPEN).first()
    limits = shares(settings.RECEIPT_FLOOD)
    if found is not None or not limits:
        return found
    decided = there.aggregate(at=Max("decided_at"))["at"]
    before = _counted(provider, max(now - WINDOW, decided) if decided else now - WINDOW)
    for kind, more in Counter(str(row.kind) for row in harm).items():
        words = before.get(kind, 0) + more
        if kind in limits and _is_time_to_look(words - more, words) and _is_flood(words, limits[kind], provider, now):
            return _open(provider, kind, words, now)
    return None


def _counted(provider: str, since: datetime) -> dict[str, int]:
    rows = Receipt.objects.filter(provider=provider[:40], kind__in=HARM, received_at__gt=since, held=False)
    return dict(rows.order_by().values_list("kind").annotate(n=Count("pk")))


def _is_time_to_look(before: int, words: int) -> bool:
    """Whether the count has passed the least, or grown by a twentieth since it was looked at."""
    if words < max(settings.RECEIPT_FLOOD_FEWEST, 1):
        return False
    return before < settings.RECEIPT_FLOOD_FEWEST or _step(before) != _step(words)


def _step(count: int) -> int:
    return int(math.log(max(count, 1)) / math.log(STEP))


def _is_flood(words: int, share: float, provider: str, now: datetime) -> bool:
    enough = math.ceil(words / share) if share else math.inf
    return sent_over(provider, now, most=enough) < enough


def sent_over(provider: str, now: datetime, *, most: float = math.inf) -> int:
    """How many messages left over an account in the last three days, counted up to `most` among the newest attempts."""
    account = Account.objects.filter(key=provider).values_list("pk", flat=True).first()
    newest = Attempt.objects.aggregate(pk=Max("pk"))["pk"]
    if account is None or newest is None:
        return 0
    look = max(LOOK, 4 * int(most)) if most < math.inf else LOOK
    rows = Attempt.objects.filter(pk__gt=newest - look, account=account, started_at__gt=now - SENT_WITHIN)
    return rows.order_by()[: int(most)].count() if most < math.inf else rows.count()


def _open(provider: str, kind: str, words: int, now: datetime) -> Quarantine:
    said = {"kind": kind, "words": words, "messages": sent_over(provider, now), "opened_at": now}
    one, made = Quarantine.objects.get_or_create(provider=provider[:40], state=Quarantine.State.OPEN, defaults=said)
    if made:
        log.error("quarantine source=%s kind=%s words=%d messages=%d", provider, kind, words, one.messages)
    return one
