"""Fallback: a message with several ways is tried by one after another, the next only when the last surely failed.

Each try is a row of the ledger with a key of its own and passes every gate. The next is planned when the last was
skipped for want of an address or of consent, was refused for good, could not be rendered, or was put off until it was
undeliverable. Never after doubt: who may have got it is not written to again, unless proof comes that they did not.
What ends for another reason (too late, cancelled, a cap, held out) ends the message.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from messaging.channels import channels
from messaging.models import Delivery, Fallback, TemplateVersion
from messaging.outbox.queue import KeyReused, NewDelivery, queue_deliveries
from messaging.retry import retrying
from messaging.wishes import CHANNEL_ORDER
from segments.models import Profile

BATCH = 500
LONGEST_KEY = 190  # the keys of later tries are a little longer
UNREACHED = ("no_address", "no_consent", "consent_expired", "refused", "suppressed")
FAILED = frozenset({"rejected", "undeliverable", "render_failed"})
_LATER = re.compile(r":f\d+$")
ENDED = ("accepted", "skipped", "expired", "cancelled", "poisoned", *sorted(FAILED))


@dataclass(frozen=True, slots=True)
class Message:
    """One message and its ways: `item.version` is tried first and then `others`, in the sender's order; what the person
    prefers goes before."""

    item: NewDelivery
    others: tuple[int, ...] = ()


def queue_with_fallback(messages: Sequence[Message], *, now: datetime) -> list[int | None]:
    """Plan the first try of each; ids in order, None where the key was there already. Constant in statements per
    thousand. Raises KeyReused when a key stands for another message. Call inside the transaction of what plans them."""
    if any(len(one.item.dedupe_key) > LONGEST_KEY for one in messages):
        raise ValueError("the key of a message with several ways has at most 190 characters")
    known = _known(messages)
    fresh = [one for one in messages if one.item.dedupe_key not in known]
    ways = _ways(fresh)
    firsts = [replace(one.item, version=order[0]) for one, order in zip(fresh, ways, strict=True)]
    planned = queue_deliveries(firsts, now=now)
    Fallback.objects.bulk_create(
        [
            Fallback(delivery_id=pk, key=one.item.dedupe_key, versions=order[1:], planned_at=now)
            for one, order, pk in zip(fresh, ways, planned, strict=True)
            if pk is not None and len(order) > 1
        ]
    )
    _refuse_single([one.item.dedupe_key for one, pk in zip(fresh, planned, strict=True) if one.others and pk is None])
    ids = {one.item.dedupe_key: pk for one, pk in zip(reversed(fresh), reversed(planned), strict=True)}
    return [ids.pop(one.item.dedupe_key, None) for one in messages]


def _known(messages: Sequence[Message]) -> set[str]:
    """The keys that stand for these very messages already. Raises KeyReused for one that stands for another."""
    keys = [one.item.dedupe_key for one in messages]
    rows = Fallback.objects.filter(key__in=keys).select_related("delivery").defer("delivery__context")
    found = {row.key: row for row in rows}
    firsts = Delivery.objects.filter(dedupe_key__in=list(found)).values_list("dedupe_key", "version_id", "body_digest")
    digests = {key: (version, digest) for key, version, digest in firsts}
    for one in messages:
        row = found.get(one.item.dedupe_key)
        if row is None:
            continue
        version, digest = digests[row.key]
        same = replace(one.item, version=version).digest == digest
        if not same or _versions(row) != {one.item.version, *one.others}:
            raise KeyReused(row.key)
    return set(found)


def _refuse_single(keys: Sequence[str]) -> None:
    """A key that was there before its message had several ways stands for another. Raises KeyReused."""
    several = set(Fallback.objects.filter(key__in=keys).values_list("key", flat=True)) if keys else set()
    for key in keys:
        if key not in several:
            raise KeyReused(key)


def _versions(row: Fallback) -> set[int]:
    """Every version of a message, tried, under way and to come."""
    return {row.delivery.version_id, *row.versions, *(one["version"] for one in row.story)}


def versions_of(key: str) -> set[int]:
    """The versions with which a key was used; none for a new one."""
    row = Fallback.objects.filter(key=key).select_related("delivery").defer("delivery__context").first()
    if row is not None:
        return _versions(row)
    return set(Delivery.objects.filter(dedupe_key=key).values_list("version_id", flat=True))


def _ways(messages: Sequence[Message]) -> list[list[int]]:
    """The versions of each message in the order to be tried: the person's channels first, then the sender's order."""
    versions = {pk for one in messages for pk in (one.item.version, *one.others)}
    channel = dict(TemplateVersion.objects.filter(pk__in=versions).values_list("pk", "channel"))
    wishes = _wishes({one.item.profile for one in messages if one.others})
    return [in_order((one.item.version, *one.others), channel, wishes.get(one.item.profile, ())) for one in messages]


def _wishes(people: set[int]) -> dict[int, tuple[str, ...]]:
    rows = Profile.objects.filter(pk__in=people, traits__has_key=CHANNEL_ORDER).values_list(
        "pk", f"traits__{CHANNEL_ORDER}"
    )
    return {pk: wish_of(said) for pk, said in rows}


def wish_of(said: Any) -> tuple[str, ...]:
    """The channels that a person's trait names, in order; what is no channel is left out."""
    names = said.replace(",", " ").split() if isinstance(said, str) else said if isinstance(said, list) else []
    return tuple(name for name in names if isinstance(name, str) and name in channels)


def in_order(versions: Iterable[int], channel: Mapping[int, str], wish: Sequence[str]) -> list[int]:
    """Versions, each once, those of the channels wished for first and in that order."""
    each = list(dict.fromkeys(versions))
    return sorted(each, key=lambda pk: wish.index(channel[pk]) if channel[pk] in wish else len(wish))


def fall_back(now: datetime) -> dict[str, int]:
    """Look at what has ended and plan the next try where there is one; how many were planned, reached, or ended
    without. Any number of workers may do so at the same time."""
    total: Counter[str] = Counter()
    while True:

        def work() -> Counter[str]:
            with transaction.atomic():
                return _fall_back(now)

        done = retrying(work)
        total += done
        if sum(done.values()) < BATCH:
            return dict(total)


def _fall_back(now: datetime) -> Counter[str]:
    rows = Fallback.objects.filter(ended_at__isnull=True, delivery__state__in=ENDED).order_by("pk")
    locked = list(
        rows.select_for_update(skip_locked=True, no_key=True, of=("self",)).select_related("delivery")[:BATCH]
    )
    channel = _channels_of(locked)
    nexts: list[tuple[Fallback, NewDelivery]] = []
    done: Counter[str] = Counter()
    for row in locked:
        ends = why_it_ends(row, now)
        if ends:
            row.ended_at, row.ended_why = now, ends[:60]
            done["reached" if ends == "accepted" else "ended"] += 1
        else:
            nexts.append((row, _next(row, channel, now)))
            done["planned"] += 1
    ids = queue_deliveries([item for _, item in nexts], now=now)
    _move_on(nexts, ids)
    Fallback.objects.bulk_update(locked, ["delivery", "versions", "story", "ended_at", "ended_why"])
    return done


def _channels_of(rows: Sequence[Fallback]) -> dict[int, str]:
    found = TemplateVersion.objects.filter(pk__in={pk for row in rows for pk in row.versions[:1]})
    return dict(found.values_list("pk", "channel"))


def fallback_of(row: Delivery) -> Fallback | None:
    """The message with several ways that a row of the ledger is a try of; None for an ordinary message."""
    key = _LATER.sub("", row.dedupe_key)
    return Fallback.objects.select_related("delivery").filter(key=key).first()


def why_it_ends(row: Fallback, now: datetime) -> str:
    """Why no other way is tried after this one; "" when the next is."""
    last = row.delivery
    if last.ghost:
        return "holdout"
    if not (last.state in FAILED or (last.state == "skipped" and last.reason.split(":")[0] in UNREACHED)):
        return "accepted" if last.state == "accepted" else f"{last.state} {last.reason}".strip()
    if not row.versions:
        return "no way is left"
    return "expired" if last.expires_at is not None and last.expires_at <= now else ""


def _next(row: Fallback, channel: Mapping[int, str], now: datetime) -> NewDelivery:
    last, version = row.delivery, row.versions[0]
    utm = dict(last.utm)
    if utm.get("utm_medium") == channels.get(last.channel).medium:
        utm["utm_medium"] = channels.get(channel[version]).medium
    return NewDelivery(
        f"{row.key}:f{len(row.story) + 1}",
        last.profile_id,
        version,
        now,
        last.expires_at,
        campaign=last.campaign,
        journey=last.journey,
        enrolment=last.enrolment,
        node=last.node,
        variant=last.variant,
        context=last.context,
        utm=utm,
    )


def _move_on(nexts: Sequence[tuple[Fallback, NewDelivery]], ids: Sequence[int | None]) -> None:
    """The next tries are those under way, and say what they stand for."""
    planned: list[Delivery] = []
    for (row, _item), pk in zip(nexts, ids, strict=True):
        if pk is None:
            raise KeyReused(row.key)  # nobody else makes keys of this form
        last, why = row.delivery, row.delivery.reason or row.delivery.state
        told = {"delivery": str(last.public_id), "channel": last.channel, "version": last.version_id, "reason": why}
        row.story, row.versions, row.delivery = [*row.story, told], row.versions[1:], Delivery(pk=pk)
        planned.append(Delivery(pk=pk, reason=f"instead_of:{last.channel} ({why})"[:120]))
    Delivery.objects.bulk_update(planned, ["reason"])
