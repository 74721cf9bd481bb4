"""What people write back: a word to stop or to start again is obeyed at once, anything else is a reply, a fact.

Silence is kept on the side of the recipient: what may mean "stop" does. The raw is stored as a receipt first, unique
by the provider's natural key, so that the same message again changes nothing. What cannot be acted on is kept all the
same, parked with its reason, and tried again by itself and by whoever presses the button (docs/receipts.md).
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from common import parking
from common.models import Parked
from messaging import permission
from messaging.answers import prove_arrival
from messaging.channels import channels
from messaging.models import Address, Consent, Delivery, Receipt
from messaging.receipts import Heard
from messaging.retry import retrying
from messaging.statements import EVERYTHING
from messaging.words import MATCHING, delivery_of
from segments.facts import names
from segments.models import Profile

log = logging.getLogger(__name__)
STOP, START = "stop", "start"
STOPS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"})
# alone only: the letters that China's texts ask for, and short words that also begin other sentences
ALONE = frozenset({
    "td", "t", "r", "n", "no", "退订", "退訂", "拒收", "取消", "停止", "不要", "取消订阅", "取消訂閱",
})  # fmt: skip
STARTS = frozenset({
    "start", "unstop", "resume", "subscribe", "恢复", "恢復", "订阅", "訂閱", "恢复订阅", "恢復訂閱",
    "重新订阅", "重新訂閱", "取消退订", "取消退訂",
})  # fmt: skip
IN_CHINESE = ("退订", "退訂", "拒收", "取消订阅", "取消訂閱")
POLITE = frozenset({"please", "pls", "plz", "thanks", "thank", "you", "thx", "请", "謝謝", "谢谢"})
SHORT = 12  # characters: in a text as short as this a word for leaving is what it says
READER = "heard"  # under which what cannot be obeyed is parked
TRIES, PATIENCE, BATCH = 6, timedelta(seconds=30), 200
SAID = ("channel", "sender", "text", "intent")
_NOISE = re.compile(r"[^\w\s]+", re.UNICODE)


def intent_of(text: str) -> str:
    """ "stop", "start" or "". Full-width letters, case, blanks of any kind, what nobody sees (zero-width marks) and
    punctuation do not matter, nor does a please or thank you around a single word."""
    seen = "".join(ch for ch in unicodedata.normalize("NFKC", text) if unicodedata.category(ch) != "Cf")
    words = _NOISE.sub(" ", seen.casefold()).split()
    said, alone = " ".join(words), "".join(word for word in words if word not in POLITE) or "".join(words)
    if alone in ALONE or alone in STOPS or (words and words[0] in STOPS and len(words) <= 4):
        return STOP
    if alone in STARTS:
        return START
    return STOP if len(said) <= SHORT and any(word in said for word in IN_CHINESE) else ""


def take_heard(said: Iterable[Heard], *, provider: str, now: datetime) -> int:
    """Keep what was written and act on it; returns how much of it was new."""
    new = 0
    for one in said:
        receipt, made = _keep(one, provider, now)
        if made:
            new += 1
            _try(receipt, now)
    return new


def _keep(one: Heard, provider: str, now: datetime) -> tuple[Receipt, bool]:
    """The message as it came, in a transaction of its own: whatever fails later, it is not lost."""
    kept = {name: value for name, value in asdict(one).items() if name in SAID}
    return Receipt.objects.get_or_create(
        provider=provider[:40],
        natural_key=one.natural_key[:255],
        defaults={
            "kind": Receipt.Kind.HEARD, "at": one.at, "received_at": now,
            "raw": {"ref": one.ref, "said": dict(one.raw), "heard": kept},
        },
    )  # fmt: skip


def _try(receipt: Receipt, now: datetime) -> bool:
    """Act on a kept message; one that fails waits, is parked, and does not stop the others."""
    subject = f"receipt:{receipt.pk}"
    try:
        retrying(lambda: _obey(receipt.pk, now))
    except Exception as error:  # parked: tried again by itself, then by a person
        tries = parking.park(READER, subject, error, now=now)
        log.error("message %s could not be obeyed, try %s", receipt.pk, tries, exc_info=error)
        if tries >= TRIES:
            Receipt.objects.filter(pk=receipt.pk).update(matched_at=now)
        return False
    parking.resolve(READER, subject, now=now, by="engine")
    return True


def obey_waiting(now: datetime) -> int:
    """Obey what was kept and not obeyed: its worker died, or it failed, and is tried again after twice as long as
    before; returns how much went well."""
    kept = Receipt.objects.filter(kind=Receipt.Kind.HEARD, matched_at__isnull=True, held=False)
    kept = kept.filter(received_at__gt=now - MATCHING)
    rows = list(kept.filter(received_at__lte=now - PATIENCE).order_by("received_at", "pk")[:BATCH])
    failed = Parked.objects.filter(reader=READER, subject__in=[f"receipt:{row.pk}" for row in rows])
    until = {one.subject: one.at + PATIENCE * 2 ** (one.tries - 1) for one in failed} if rows else {}
    return sum(_try(row, now) for row in rows if until.get(f"receipt:{row.pk}", now) <= now)


@parking.can_retry(READER)
def retry_heard(subject: str, now: datetime) -> None:
    """Act on a message that was set aside. Raises what it fails with."""
    pk = int(subject.removeprefix("receipt:"))

    def work() -> None:
        with transaction.atomic():
            Receipt.objects.filter(pk=pk).update(matched_at=None)
            _obey(pk, now)

    retrying(work)


def _heard(receipt: Receipt) -> Heard:
    raw = receipt.raw
    return Heard(natural_key=receipt.natural_key, at=receipt.at, raw=raw["said"], ref=raw["ref"], **raw["heard"])


def _obey(pk: int, now: datetime) -> None:
    """Do what a kept message asks for, once, in one transaction."""
    with transaction.atomic():
        receipt = Receipt.objects.select_for_update(of=("self",)).filter(pk=pk, matched_at__isnull=True).first()
        if receipt is None:
            return
        one = _heard(receipt)
        named = delivery_of(one.ref) if one.ref else None
        address = named.address if named is not None else _address(one, now)
        row = named or (_last(one, address) if address is not None else None)
        Receipt.objects.filter(pk=pk).update(delivery=row, matched_at=now)
        if address is not None:
            _act(one, address, row, receipt, now)


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
    again = before or ([row.topic] if row is not None and row.topic else [])
    return [topic for topic in again if topic not in address.consents]


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
