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
    archived_at: datetime | None
    expires_at: datetime | None
    title: str
    body: str
    parts: dict[str, str]


def inbox_of(profile: int, now: datetime, *, archived: bool = False) -> QuerySet[Delivery]:
    """The person's messages that are to be seen, or those put away: accepted, not a ghost's, not expired."""
    rows = Delivery.objects.filter(profile=profile, channel=CHANNEL, state=Delivery.State.ACCEPTED, ghost=False)
    rows = rows.filter(inbox_archived_at__isnull=not archived)
    return rows.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))


def unread(profile: int, now: datetime) -> int:
    """How many messages to be seen the person has not read."""
    return inbox_of(profile, now).filter(inbox_read_at__isnull=True).count()


def page_of(rows: QuerySet[Delivery], *, size: int, before: UUID | None = None) -> tuple[list[Delivery], UUID | None]:
    """One page, newest first, and what to ask for the next with (None: there is none). Raises LookupError for a
    `before` that is not among them."""
    rows = rows.order_by("-id")
    if before is not None:
        known = rows.filter(public_id=before).values_list("pk", flat=True).first()
        if known is None:
            raise LookupError(before)
        rows = rows.filter(pk__lt=known)
    page = list(rows[: size + 1])
    return page[:size], page[size - 1].public_id if len(page) > size else None


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
    rows = _one(profile, public_id, now)
    return bool(rows.filter(inbox_read_at__isnull=True).update(inbox_read_at=now)) or rows.exists()


def mark_all_read(profile: int, now: datetime) -> int:
    """Note that the person has read everything that is to be seen; how many that was news of."""
    return inbox_of(profile, now).filter(inbox_read_at__isnull=True).update(inbox_read_at=now)


def archive(profile: int, public_id: UUID, now: datetime) -> bool:
    """Put a message away: it is seen no more unless asked for. False when there is no such message."""
    rows = _one(profile, public_id, now)
    return bool(rows.filter(inbox_archived_at__isnull=True).update(inbox_archived_at=now)) or rows.exists()


def restore(profile: int, public_id: UUID, now: datetime) -> bool:
    """Take a message back that was put away. False when there is no such message."""
    return bool(_one(profile, public_id, now).update(inbox_archived_at=None))


def _one(profile: int, public_id: UUID, now: datetime) -> QuerySet[Delivery]:
    both = inbox_of(profile, now) | inbox_of(profile, now, archived=True)
    return both.filter(public_id=public_id)


def _item(row: Delivery, parts: dict[str, str]) -> Item:
    return Item(
        row.pk,
        row.public_id,
        row.sent_at,
        row.inbox_read_at,
        row.inbox_archived_at,
        row.expires_at,
        parts.get("title", ""),
        parts.get("body", ""),
        dict(parts),
    )
