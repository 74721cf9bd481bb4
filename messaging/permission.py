"""Who may be written to: addresses, statements of will and suppression, under the lock that the gate takes too.

Nothing here cancels a message. The gate reads the address row in the transaction that commits the marker, so
after one of these verbs returns no further marker is committed against it (docs/delivery.md).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Min, Q

from messaging.channels import channels
from messaging.models import Address, Consent, Suppression, Topic
from messaging.retry import retrying
from messaging.statements import EVERYTHING, Statement, said_before
from segments.facts import names
from segments.facts.append import append_engine_facts
from segments.models import Profile

SOFT_LIMIT = 5
ASKED_LATELY = timedelta(days=1)  # nobody is asked twice a day to confirm the same
UNDO = "undo"  # the basis of a statement that takes the one before it back
COLUMNS = frozenset(column.name for column in Profile._meta.concrete_fields)
Wanted = tuple[str, str, int]  # channel, normalised address, profile id


def digest(channel: str, value: str) -> str:
    """The keyed hash under which a suppressed address is remembered; the key is never rotated."""
    return hmac.new(settings.SUPPRESSION_KEY.encode(), f"{channel}:{value}".encode(), hashlib.sha256).hexdigest()


def is_suppressed(channel: str, value: str) -> bool:
    return Suppression.objects.filter(channel=channel, digest=digest(channel, value)).exists()


def columns_for(keys: Iterable[str]) -> list[str]:
    """The columns of Profile that say where people are reached in these channels; a trait lies in `traits`."""
    read = {name for key in keys for name in channels.get(key).reads}
    return sorted({name if name in COLUMNS else "traits" for name in read})


def place_of(channel: str, person: Mapping[str, Any]) -> str:
    """The normalised address in a channel of a person of whom those columns are given; "" when there is none."""
    one = channels.get(channel)
    return one.address_of({name: person[name] if name in COLUMNS else person["traits"].get(name) for name in one.reads})


def address_for(profile: Profile, channel: str, now: datetime) -> Address | None:
    """The person's address row in a channel, made at first need; None when the person has none."""
    value = place_of(channel, {name: getattr(profile, name) for name in columns_for([channel])})
    if not value:
        return None
    known = ensure_addresses([(channel, value, profile.pk)], now=now)
    return Address.objects.get(pk=known[channel, value])


def ensure_addresses(wanted: Iterable[Wanted], *, now: datetime) -> dict[tuple[str, str], int]:
    """Ids by (channel, address), inserting those not there; a new row knows at once if it is suppressed, and what
    its owner has said before there was an address."""
    by_channel: dict[str, dict[str, int]] = {}
    for channel, value, profile in wanted:
        by_channel.setdefault(channel, {}).setdefault(value, profile)
    found: dict[tuple[str, str], int] = {}
    for channel, owners in by_channel.items():
        ids = _ids(channel, owners)
        missing = sorted(owners.keys() - ids.keys())
        if missing:
            _insert(channel, {value: owners[value] for value in missing}, now)
            made = _ids(channel, missing)
            _look_back(channel, {owners[value]: pk for value, pk in made.items()})
            ids |= made
        found |= {(channel, value): pk for value, pk in ids.items()}
    return found


def _ids(channel: str, values: Iterable[str]) -> dict[str, int]:
    rows = Address.objects.filter(channel=channel, value__in=list(values))
    return dict(rows.values_list("value", "pk"))


def _insert(channel: str, owners: Mapping[str, int], now: datetime) -> None:
    digests = {digest(channel, value): value for value in owners}
    listed = Suppression.objects.filter(channel=channel, digest__in=list(digests)).values_list("digest", "reason")
    suppressed = {digests[hashed]: reason for hashed, reason in listed}
    Address.objects.bulk_create(
        [
            Address(
                channel=channel, value=value, profile_id=owner, suppressed=suppressed.get(value, ""), created_at=now
            )
            for value, owner in owners.items()
        ],
        ignore_conflicts=True,
    )


def _look_back(channel: str, addresses: Mapping[int, int]) -> None:
    """Record what the owners (profile ids) of new addresses said while we knew none."""
    for said in said_before(addresses.keys(), channel):
        record(addresses[said.profile], said)


def record(address: Address | int, said: Statement) -> None:
    """Record a statement that came as a fact, once: it is about the address that its author had, or got first. A yes to
    a topic that asks for confirmation is kept as pending."""
    pk = address if isinstance(address, int) else address.pk
    if Consent.objects.filter(Q(address=pk) | Q(profile=said.profile), evidence__fact=said.fact).exists():
        return
    if not said.given:
        withdraw(pk, said.topic, now=said.at, source=said.source, evidence=said.evidence)
    elif Topic.objects.filter(key=said.topic).exclude(confirmation="").exists():
        ask_consent(pk, said.topic, now=said.at, source=said.source, evidence=said.evidence, wording=said.wording)
    else:
        give_consent(pk, said.topic, now=said.at, source=said.source, evidence=said.evidence, wording=said.wording)


def ask_consent(
    address: Address | int,
    topic: str,
    *,
    now: datetime,
    source: str,
    evidence: Mapping[str, Any] | None = None,
    wording: str = "",
) -> Consent | None:
    """Record a yes that means nothing until the owner of the address confirms it (messaging.asking); None when they
    have agreed already, or were asked within a day."""

    def work() -> Consent | None:
        with transaction.atomic():
            row = lock(address)
            asked = Consent.objects.filter(address=row, topic=topic, action=Consent.Action.PENDING)
            if topic in row.consents or asked.filter(at__gt=now - ASKED_LATELY).exists():
                return None
            return _state(row, topic, Consent.Action.PENDING, now, source, evidence, "", {"wording": wording})

    return retrying(work)


def give_consent(
    address: Address | int,
    topic: str,
    *,
    now: datetime,
    source: str,
    evidence: Mapping[str, Any] | None = None,
    basis: str = "express",
    wording: str = "",
    expires_at: datetime | None = None,
) -> Consent:
    """Record that the owner of the address agreed to a topic ("*": to all), with its proof."""
    said = {"basis": basis, "wording": wording, "expires_at": expires_at}
    return retrying(lambda: _state(address, topic, Consent.Action.GIVEN, now, source, evidence, "", said))


def withdraw(
    address: Address | int,
    topic: str = EVERYTHING,
    *,
    now: datetime,
    source: str,
    evidence: Mapping[str, Any] | None = None,
    delivery: str = "",
) -> Consent:
    """Record that the owner refuses a topic ("*": everything but transactional). Idempotent in its effect.

    `delivery` is the public id of the message through which it was said, if any.
    """
    return retrying(lambda: _state(address, topic, Consent.Action.WITHDRAWN, now, source, evidence, delivery, {}))


def take_back(said: Consent, *, now: datetime, evidence: Mapping[str, Any]) -> Consent:
    """Undo a withdrawal: the address stands again as it stood before, with what then ran out running out again."""
    before = said.evidence["before"]
    given = Consent.objects.filter(address=said.address_id, action=Consent.Action.GIVEN, topic__in=before["consents"])
    expires = given.filter(expires_at__isnull=False).aggregate(at=Min("expires_at"))["at"]
    proof = {**evidence, "undoes": said.pk, "before": before}
    how = {"basis": UNDO, "expires_at": expires}
    return retrying(lambda: _state(said.address_id, said.topic, Consent.Action.GIVEN, now, UNDO, proof, "", how))


def _state(
    address: Address | int,
    topic: str,
    action: str,
    now: datetime,
    source: str,
    evidence: Mapping[str, Any] | None,
    delivery: str,
    said: Mapping[str, Any],
) -> Consent:
    with transaction.atomic():
        row = lock(address)
        proof = {"before": {"consents": row.consents, "refusals": row.refusals}, **(evidence or {})}
        consent = Consent.objects.create(
            address=row,
            profile_id=row.profile_id,
            topic=topic,
            purpose=Topic.objects.filter(key=topic).values_list("purpose", flat=True).first() or "",
            action=action,
            source=source,
            at=now,
            evidence=proof if action == Consent.Action.WITHDRAWN else dict(evidence or {}),
            **said,
        )
        row.consents, row.refusals = _standing(row, consent)
        row.save(update_fields=["consents", "refusals"])
        tell(row, names.CONSENT_CHANGED, f"consent:{consent.pk}", {"topic": topic, "action": action}, now=now)
        if action == Consent.Action.WITHDRAWN:
            said_by = {"topic": topic, "delivery": delivery}
            tell(row, names.UNSUBSCRIBED, f"unsubscribed:{consent.pk}", said_by, now=now)
    return consent


def _standing(row: Address, last: Consent) -> tuple[list[str], list[str]]:
    """The state of an address after one more statement. What is said last holds, not what is heard of last: a
    statement that is older than another is put in its place among them all."""
    history = Consent.objects.filter(address=row)
    if not history.filter(at__gt=last.at).exists():
        return _after(last.action, last.topic, last.basis, last.evidence, row.consents, row.refusals)
    consents: list[str] = []
    refusals: list[str] = []
    for said in history.order_by("at", "pk").values_list("action", "topic", "basis", "evidence"):
        consents, refusals = _after(*said, consents, refusals)
    return consents, refusals


def _after(
    action: str, topic: str, basis: str, evidence: Mapping[str, Any], consents: list[str], refusals: list[str]
) -> tuple[list[str], list[str]]:
    if basis == UNDO:
        return list(evidence["before"]["consents"]), list(evidence["before"]["refusals"])
    return after(action, topic, consents, refusals)


def after(action: str, topic: str, consents: list[str], refusals: list[str]) -> tuple[list[str], list[str]]:
    """The derived state of an address after one more statement. The latest word about a topic wins:
    refusing everything empties the agreements, and a later agreement to one topic stands beside the "*". What is not
    confirmed changes nothing."""
    if action == Consent.Action.PENDING:
        return consents, refusals
    if action == Consent.Action.WITHDRAWN:
        if topic == EVERYTHING:
            return [], [EVERYTHING]
        return [one for one in consents if one != topic], sorted({*refusals, topic})
    if topic == EVERYTHING:
        return [EVERYTHING], []
    return sorted({*consents, topic}), [one for one in refusals if one != topic]


def suppress(address: Address | int, reason: str, now: datetime, *, note: str = "") -> bool:
    """Never write to this address again (reasons: Suppression.Reason). Returns whether that is new."""

    def work() -> bool:
        with transaction.atomic():
            row = lock(address)
            return _suppress(row, reason, now, note)

    return retrying(work)


def _suppress(row: Address, reason: str, now: datetime, note: str) -> bool:
    return suppress_value(row.channel, row.value, reason, now, note=note)


def suppress_value(channel: str, value: str, reason: str, now: datetime, *, note: str = "") -> bool:
    """The same for an address that may have no row yet. Call inside a transaction, with the row locked if any."""
    hashed = digest(channel, value)
    kept, made = Suppression.objects.get_or_create(
        channel=channel, digest=hashed, defaults={"reason": reason, "at": now, "note": note}
    )
    if not made and gravity(reason) > gravity(kept.reason):
        Suppression.objects.filter(pk=kept.pk).update(reason=reason, at=now, note=note)
        kept.reason, made = reason, True
    Address.objects.filter(channel=channel, value=value).exclude(suppressed=kept.reason).update(suppressed=kept.reason)
    return made


def gravity(reason: str) -> int:
    """Reasons that stop transactional mail too outweigh those that do not."""
    return 1 if reason in (Suppression.Reason.HARD, Suppression.Reason.ERASED) else 0


def lift_suppression(address: Address | int) -> None:
    """Write to this address again: a person decided so (the caller audits it)."""

    def work() -> None:
        with transaction.atomic():
            row = lock(address)
            Suppression.objects.filter(channel=row.channel, digest=digest(row.channel, row.value)).delete()
            Address.objects.filter(pk=row.pk).update(suppressed="", soft_bounces=0)

    retrying(work)


def note_bounce(address: Address | int, kind: str, now: datetime, *, delivery: str) -> None:
    """A message bounced: "hard" suppresses at once, "soft" after five in a row without success (RFC 3463:
    5.1.x hard, 4.x and 5.2.2 soft; 5.7.x is policy and says nothing about the address)."""

    def work() -> None:
        with transaction.atomic():
            row = lock(address)
            if not tell(
                row, names.BOUNCED, f"bounced:{delivery}:{kind}", {"kind": kind, "delivery": delivery}, now=now
            ):
                return
            if kind == "hard":
                _suppress(row, Suppression.Reason.HARD, now, "")
                return
            row.soft_bounces += 1
            row.save(update_fields=["soft_bounces"])
            if row.soft_bounces >= SOFT_LIMIT:
                _suppress(row, Suppression.Reason.SOFT, now, f"{row.soft_bounces} in a row")

    retrying(work)


def note_success(address_id: int) -> None:
    """A message surely arrived (delivered, opened, clicked): the row of soft bounces is broken."""
    Address.objects.filter(pk=address_id, soft_bounces__gt=0).update(soft_bounces=0)


def lock(address: Address | int) -> Address:
    """Lock the owner, then the address row, as the gate does (profile before address); returns a fresh row.
    Call inside a transaction."""
    pk = address if isinstance(address, int) else address.pk
    owner = Address.objects.values_list("profile_id", flat=True).get(pk=pk)
    if owner is not None:
        list(Profile.objects.select_for_update(no_key=True).filter(pk=owner).values_list("pk"))
    return Address.objects.select_for_update(no_key=True).get(pk=pk)


def tell(row: Address, name: str, key: str, properties: Mapping[str, Any], *, now: datetime) -> bool:
    """Append one engine fact about the owner of an address; returns whether it was new (True without owner)."""
    if row.profile_id is None:
        return True
    shard = Profile.objects.values_list("shard", flat=True).get(pk=row.profile_id)
    return bool(
        append_engine_facts([(row.profile_id, shard, name, key, {"channel": row.channel, **properties})], now=now)
    )
