"""What people agree to and refuse: append-only statements, and the state of their address that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Min, Q

from messaging.models import Address, Consent, Topic
from messaging.permission.owner import lock, tell
from messaging.retry import retrying
from messaging.statements import EVERYTHING, Statement
from segments.facts import names

ASKED_LATELY = timedelta(days=1)  # nobody is asked twice a day to confirm the same
UNDO = "undo"  # the basis of a statement that takes the one before it back


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
