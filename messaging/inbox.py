"""The in-app inbox: the accepted message is the ledger's row; its words are rendered when somebody reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from messaging.models import Delivery
from messaging.outbox.parcels import read_parcels
from messaging.render import RenderError, render_group

CHANNEL = "inbox"


@dataclass(frozen=True)
class Item:
    """One message of a person's inbox as it is shown."""

    id: int
    public_id: UUID
    sent_at: datetime | None
    read_at: datetime | None
    title: str
    body: str
    parts: dict[str, str]


def inbox_of(profile: int, now: datetime) -> QuerySet[Delivery]:
    """The person's messages that are to be seen: accepted, not a ghost's, not expired."""
    rows = Delivery.objects.filter(profile=profile, channel=CHANNEL, state=Delivery.State.ACCEPTED, ghost=False)
    return rows.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))


def show(rows: Sequence[Delivery]) -> list[Item]:
    """Render messages for reading, in their order; one that cannot be rendered any more is left out."""
    parcels = read_parcels([row.pk for row in rows])
    pages: Sequence[Any] = render_group([parcel.job for parcel in parcels]) if parcels else []
    by_id = {row.pk: row for row in rows}
    return [
        _item(by_id[parcel.id], page.parts)
        for parcel, page in zip(parcels, pages, strict=True)
        if not isinstance(page, RenderError)
    ]


def mark_read(profile: int, public_id: UUID, now: datetime) -> bool:
    """Note that the person has read it; the first time counts. False when there is no such message."""
    rows = inbox_of(profile, now).filter(public_id=public_id)
    return bool(rows.filter(inbox_read_at__isnull=True).update(inbox_read_at=now)) or rows.exists()


def _item(row: Delivery, parts: dict[str, str]) -> Item:
    return Item(
        row.pk,
        row.public_id,
        row.sent_at,
        row.inbox_read_at,
        parts.get("title", ""),
        parts.get("body", ""),
        dict(parts),
    )
