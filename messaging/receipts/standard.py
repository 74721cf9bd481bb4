"""Receipts in our own small form, signed by Standard Webhooks: for gateways and providers without a receiver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from common.text import without_poison
from messaging.receipts import Receiver, Word, receivers
from messaging.receipts._signature import is_signed

KINDS = frozenset({"delivered", "soft", "hard", "complained", "unsubscribed", "opened", "clicked", "rejected"})
MOST = 1000


@receivers.register("standard")
class Standard(Receiver):
    """`{"events": [{"delivery": public id or Message-ID, "kind": "delivered", "at": ISO 8601}]}`, or one such
    event alone; what else an event says is kept. Kinds: delivered, soft, hard, complained, unsubscribed, opened,
    clicked, rejected; others are kept and start nothing."""

    key: ClassVar[str] = "standard"

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: list[str], now: datetime) -> bool:
        return is_signed(body, headers, secrets, now)

    def read(self, body: bytes, now: datetime) -> Iterable[Word]:
        try:
            said = json.loads(body)
        except RecursionError:
            raise ValueError("nested too deep") from None
        events = said.get("events", [said]) if isinstance(said, dict) else None
        if not isinstance(events, list) or len(events) > MOST:
            raise ValueError("not a list of events")
        return [_word(event, now) for event in events]


def _word(event: Any, now: datetime) -> Word:
    if not isinstance(event, dict) or not isinstance(event.get("delivery"), str) or not event["delivery"]:
        raise ValueError("an event names no delivery")
    kind = event.get("kind")
    kind = kind if isinstance(kind, str) and kind in KINDS else "other"
    at, ref = _time(event.get("at"), now), event["delivery"][:120]
    key = f"{ref}:{kind}" if event.get("at") is None else f"{ref}:{kind}:{int(at.timestamp())}"
    return Word(kind, without_poison(ref), without_poison(key), at, _kept(event))


def _time(value: Any, now: datetime) -> datetime:
    """The time of an event: ISO 8601 with a zone or seconds since 1970; never later than `now`."""
    if value is None:
        return now
    try:
        at = (
            datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else datetime.fromisoformat(str(value))
        )
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return min(at.astimezone(UTC), now)
    except (ValueError, OverflowError, OSError):
        raise ValueError("an event has no readable time") from None


def _kept(event: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of an event: its plain values, bounded, without what no database stores."""
    kept: dict[str, Any] = {}
    for name, value in list(event.items())[:50]:
        if isinstance(value, str):
            kept[without_poison(name)[:64]] = without_poison(value)[:2000]
        elif value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
            kept[without_poison(name)[:64]] = value
    return kept
