"""A person's messages, for the person and to be forgotten: texts are rendered again, addresses remembered as hashes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet

from messaging.channels import channels
from messaging.models import Address, Attempt, Delivery, Receipt, Suppression
from messaging.outbox.parcels import read_parcels
from messaging.permission import digest, suppress_value
from messaging.render import Rendered, render_group
from segments import erase, export
from segments.holdings import Person, naming

SENT = ("attempting", "in_doubt", "accepted", "rejected", "unknown")
PIECE = 50
Place = tuple[str, str]  # channel, normalised address


def places_of(person: Person) -> set[Place]:
    """Every address of the person, in every channel: those written to, and those their names would give."""
    found = set(Address.objects.filter(profile__in=person.ids).values_list("channel", "value"))
    for kind in ("email", "phone"):
        for value in person.values(kind):
            for channel in channels:
                address = channel.address_of({"email": "", "phone": "", "public_id": "", kind: value})
                if channel.needs_address and address:
                    found.add((channel.key, address))
    return found


def unmatched_receipts(person: Person) -> Iterator[Receipt]:
    """Words of providers that belong to no message we know, but name the person."""
    return naming(Receipt.objects.filter(delivery=None), "raw", person)


@erase.handlers.register("messages")
class ForgetMessages(erase.EraseHandler):
    """Suppressed for good, everything that waits cancelled; a message on the wire stays until it has its answer."""

    def search(self, person: Person, *, now: datetime) -> int:
        ids = [row.pk for row in unmatched_receipts(person)]
        Receipt.objects.filter(pk__in=ids).delete()
        return len(ids)

    def close(self, person: Person, *, now: datetime) -> None:
        for channel, value in sorted(places_of(person)):
            suppress_value(channel, value, Suppression.Reason.ERASED, now)
        waiting = Delivery.objects.filter(profile__in=person.ids, state__in=["planned", "held", "claimed"])
        waiting.update(state="cancelled", reason="erased", settled_at=now, lease_token=None, lease_until=None)

    def waits(self, model: type[Model], rows: QuerySet[Any]) -> QuerySet[Any] | None:
        if model is Delivery:
            return rows.filter(state="attempting")
        if model is Attempt:
            return rows.filter(delivery__state="attempting")
        return rows.filter(deliveries__state="attempting") if model is Address else None


@export.handlers.register("messages")
class ShowMessages(export.ExportHandler):
    """The messages as they read, and which addresses are suppressed."""

    def sections(self, person: Person, *, now: datetime) -> Iterator[export.Section]:
        yield "messages", _texts(person)
        yield "suppressions", _suppressions(person)
        yield "receipts_unmatched", ({"provider": row.provider, "raw": row.raw} for row in unmatched_receipts(person))


def _texts(person: Person) -> Iterator[export.Row]:
    """Every message that went out, rendered again from the frozen version and its variables."""
    rows = Delivery.objects.filter(profile__in=person.ids, ghost=False, state__in=SENT).order_by("pk")
    ids = list(rows.values_list("pk", flat=True))
    for start in range(0, len(ids), PIECE):
        parcels = read_parcels(ids[start : start + PIECE])
        for parcel, page in zip(parcels, render_group([parcel.job for parcel in parcels]), strict=True):
            said = {"message": parcel.job.public_id, "to": parcel.to}
            yield {**said, **page.parts} if isinstance(page, Rendered) else {**said, "error": str(page)}


def _suppressions(person: Person) -> Iterator[export.Row]:
    for channel, value in sorted(places_of(person)):
        for row in Suppression.objects.filter(channel=channel, digest=digest(channel, value)):
            yield {"channel": channel, "address": value, "reason": row.reason, "at": row.at.isoformat()}
