"""What people write back: a word to stop or to start again is obeyed at once, anything else is a reply, a fact.

Silence is kept on the side of the recipient: what may mean "stop" does. The raw is stored as a receipt first, unique
by the provider's natural key, so that the same message again changes nothing (docs/receipts.md).
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from messaging import permission
from messaging.answers import prove_arrival
from messaging.channels import channels
from messaging.models import Address, Consent, Delivery, Receipt
from messaging.receipts import Heard
from messaging.retry import retrying
from messaging.statements import EVERYTHING
from messaging.words import delivery_of
from segments.facts import names
from segments.models import Profile

log = logging.getLogger(__name__)
STOP, START = "stop", "start"
STOPS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"})
# alone only: the letters that China's texts ask for, and short words that also begin other sentences
ALONE = frozenset({"td", "t", "r", "n", "no", "退订", "拒收", "取消", "停止", "不要", "取消订阅", "opt out"})
STARTS = frozenset({"start", "unstop", "resume", "subscribe", "恢复", "订阅", "恢复订阅", "重新订阅"})
IN_CHINESE = ("退订", "拒收", "取消订阅")
SHORT = 12  # characters: in a text as short as this a word for leaving is what it says
_NOISE = re.compile(r"[^\w\s]+", re.UNICODE)


def intent_of(text: str) -> str:
    """ "stop", "start" or "". Full-width letters, case, blanks and punctuation do not matter."""
    said = " ".join(_NOISE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split())
    first, words = said.partition(" ")[0], said.count(" ") + 1
    if said in ALONE or (first in STOPS and words <= 4):
        return STOP
    if said in STARTS:
        return START
    return STOP if len(said) <= SHORT and any(word in said for word in IN_CHINESE) else ""


def take_heard(said: Iterable[Heard], *, provider: str, now: datetime) -> int:
    """Keep what was written and act on it; returns how much of it was new."""
    new = 0
    for one in said:
        try:
            new += retrying(lambda one=one: _take(one, provider, now))  # type: ignore[misc]
        except Exception:  # one message must not stop the others; the provider sends it again
            log.exception("what was written to account %s could not be taken", provider)
    return new


def _take(one: Heard, provider: str, now: datetime) -> int:
    with transaction.atomic():
        receipt, made = Receipt.objects.get_or_create(
            provider=provider[:40],
            natural_key=one.natural_key[:255],
            defaults={
                "kind": Receipt.Kind.HEARD, "at": one.at, "received_at": now, "matched_at": now,
                "raw": {"ref": one.ref, "said": dict(one.raw)},
            },
        )  # fmt: skip
        if not made:
            return 0
        named = delivery_of(one.ref) if one.ref else None
        address = named.address if named is not None else _address(one, now)
        if address is None:
            return 1
        row = named or _last(one, address)
        if row is not None:
            Receipt.objects.filter(pk=receipt.pk).update(delivery=row)
        _act(one, address, row, receipt, now)
        return 1


def _address(one: Heard, now: datetime) -> Address | None:
    """The row of who wrote, made if need be: somebody may refuse before we know whose the number is."""
    channel = channels.get(one.channel)
    value = channel.address_of(dict.fromkeys(channel.reads, one.sender))
    if not value:
        return None
    found = Address.objects.filter(channel=one.channel, value=value).first()
    return (
        found
        or Address.objects.get_or_create(
            channel=one.channel, value=value, defaults={"profile": _owner(one.channel, value), "created_at": now}
        )[0]
    )


def _owner(channel: str, value: str) -> Profile | None:
    column = {"sms": "phone", "email": "email"}.get(channel)
    living = Profile.objects.filter(merged_into=None, erased_at=None)
    return living.filter(**{column: value}).order_by("pk").first() if column else None


def _last(one: Heard, address: Address) -> Delivery | None:
    """The message that is answered where none is named: the last one that went to this address."""
    sent = Delivery.objects.filter(address=address, ghost=False, sent_at__lte=one.at).defer("context", "utm")
    return sent.order_by("-sent_at").first()


def _act(one: Heard, address: Address, row: Delivery | None, receipt: Receipt, now: datetime) -> None:
    intent = one.intent or (intent_of(one.text) if one.channel == "sms" else "")
    evidence = {"receipt": receipt.pk, "said": one.text[:200]}
    if intent == STOP:
        ref = str(row.public_id) if row else ""
        permission.withdraw(
            address, EVERYTHING, now=now, source=f"{one.channel}:reply", evidence=evidence, delivery=ref
        )
    elif intent == START:
        for topic in restored(address, row):
            permission.give_consent(address, topic, now=now, source=f"{one.channel}:reply", evidence=evidence)
    else:
        _reply(one, address, row, receipt, now)


def restored(address: Address, row: Delivery | None) -> list[str]:
    """What somebody who starts again gets again: the topics agreed to before everything was refused; without any,
    the topic of the message that is answered. Nothing when nothing was refused."""
    if not address.refusals:
        return []
    agreed: list[str] = []
    before: list[str] = []
    refused: list[str] = []
    history = Consent.objects.filter(address=address).order_by("at", "pk")
    for action, topic in history.values_list("action", "topic"):
        if (action, topic) == (Consent.Action.WITHDRAWN, EVERYTHING) and agreed:
            before = agreed
        agreed, refused = permission.after(action, topic, agreed, refused)
    return before or ([row.topic] if row is not None and row.topic else [])


def _reply(one: Heard, address: Address, row: Delivery | None, receipt: Receipt, now: datetime) -> None:
    """A reply is a fact; the address is alive, and the message that is answered has arrived."""
    permission.tell(permission.lock(address), names.MESSAGE_REPLIED, f"replied:{receipt.pk}", _told(row), now=now)
    Address.objects.filter(pk=address.pk).exclude(last_engaged_at__gte=one.at).update(last_engaged_at=one.at)
    if row is not None:
        prove_arrival(row.pk, address.pk, now=one.at)


def _told(row: Delivery | None) -> Mapping[str, Any]:
    if row is None:
        return {"delivery": ""}
    return {
        "delivery": str(row.public_id),
        "template": row.version.template.key,
        "campaign": row.campaign,
        "journey": row.journey,
        "node": row.node,
    }
