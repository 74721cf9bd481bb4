"""Receipts in our own small form, signed by Standard Webhooks: for gateways and providers without a receiver."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from common.text import without_poison
from messaging.receipts import Call, Receiver, Word, receivers
from messaging.receipts._forms import MOST, kept, time_of
from messaging.receipts._signature import is_signed

KINDS = frozenset({"delivered", "soft", "hard", "complained", "unsubscribed", "opened", "clicked", "rejected"})


@receivers.register("standard")
class Standard(Receiver):
    """`{"events": [{"delivery": public id or Message-ID, "kind": "delivered", "at": ISO 8601}]}`, or one such
    event alone; what else an event says is kept. Kinds: delivered, soft, hard, complained, unsubscribed, opened,
    clicked, rejected; others are kept and start nothing."""

    key: ClassVar[str] = "standard"

    def verify(self, call: Call, secrets: list[str], now: datetime) -> bool:
        return is_signed(call.body, call.headers, secrets, now)

    def read(self, call: Call, now: datetime) -> Iterable[Word]:
        try:
            said = json.loads(call.body)
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
    at, ref = time_of(event.get("at"), now), event["delivery"][:120]
    key = f"{ref}:{kind}" if event.get("at") is None else f"{ref}:{kind}:{int(at.timestamp())}"
    return Word(kind, without_poison(ref), without_poison(key), at, kept(event))
