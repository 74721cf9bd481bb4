"""From a claimed row to something a channel can carry: variables, rendering, and the last look at headers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings

from messaging.channels import Outgoing, channels
from messaging.models import Account, Delivery
from messaging.outbox.ledger import Change
from segments.models import Wallet

log = logging.getLogger(__name__)
CHUNK = 100  # messages rendered in one request
PERSON = (
    "public_id", "email", "phone", "first_name", "last_name", "locale", "timezone", "country", "city", "gender",
    "birthday", "registered_at",
)  # fmt: skip
COLUMNS = (
    "id", "public_id", "version_id", "address_id", "profile_id", "channel", "campaign", "journey", "enrolment", "node",
    "variant", "context", "utm", "expires_at", "address__value", "profile__traits",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What the renderer is asked: ids, the locale wished for, and plain variables by name."""

    delivery: int
    public_id: str
    version: int
    locale: str
    context: Mapping[str, Any]
    utm: Mapping[str, str]
    address: int | None
    journey: str = ""
    node: str = ""


class Page(Protocol):
    """What the renderer answers for one job, unless it answers with an exception."""

    parts: Mapping[str, str]
    headers: Mapping[str, str]


Render = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass
class Parcel:
    """One claimed message on its way: its job and, once rendered, what the channel gets."""

    id: int
    profile: int
    address: int | None
    job: Job
    to: str
    to_name: str
    expires_at: datetime | None
    ghost: bool = False
    outgoing: Outgoing | None = field(default=None)


def read_parcels(rows: Sequence[Mapping[str, Any]]) -> list[Parcel]:
    """Parcels for judged rows, in their order: two statements whatever their number."""
    ghosts = {row["id"]: row["ghost"] for row in rows}
    names = (*COLUMNS, *(f"profile__{name}" for name in PERSON))
    found = {
        values[0]: dict(zip(names, values, strict=True))
        for values in Delivery.objects.filter(pk__in=list(ghosts)).values_list(*names)
    }
    purses = _purses({row["profile_id"] for row in found.values()})
    return [_parcel(found[pk], ghosts[pk], purses) for pk in ghosts if pk in found]


def _purses(people: set[int]) -> dict[int, dict[str, Any]]:
    rows = Wallet.objects.filter(pk__in=people).values_list("pk", "balance", "level__key", "level__name", "level__rank")
    return {
        who: {"points": {"balance": balance}, "level": {"key": key or "", "name": name or "", "rank": rank or 0}}
        for who, balance, key, name, rank in rows
    }


_EMPTY_PURSE: dict[str, Any] = {"points": {"balance": 0}, "level": {"key": "", "name": "", "rank": 0}}


def _parcel(row: Mapping[str, Any], ghost: bool, purses: Mapping[int, dict[str, Any]]) -> Parcel:
    person = {name: _plain(row[f"profile__{name}"]) for name in PERSON}
    context = {
        "brand": {"name": getattr(settings, "BRAND_NAME", "Perennial")},
        **purses.get(row["profile_id"], _EMPTY_PURSE),
        **row["context"],
        "profile": {**row["profile__traits"], **person},
        "journey": {"key": row["journey"], "node": row["node"], "campaign": row["campaign"]},
    }
    job = Job(
        delivery=row["id"],
        public_id=str(row["public_id"]),
        version=row["version_id"],
        locale=person["locale"] or settings.LANGUAGE_CODE,
        context=context,
        utm=row["utm"],
        address=row["address_id"],
        journey=row["journey"],
        node=row["node"],
    )
    first, last = person["first_name"], person["last_name"]
    name = f"{last}{first}" if str(person["locale"]).lower().startswith("zh") else f"{first} {last}".strip()
    return Parcel(
        row["id"],
        row["profile_id"],
        row["address_id"],
        job,
        row["address__value"] or "",
        name,
        row["expires_at"],
        ghost,
    )


def _plain(value: Any) -> Any:
    """Templates see scalars only."""
    if value is None or isinstance(value, (str, int, float)):
        return "" if value is None else value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def render_all(parcels: Sequence[Parcel], *, render: Render, account: Account, now: datetime) -> list[Change]:
    """Fill in `outgoing`; returns the changes of those that cannot be rendered. Ghosts are not rendered."""
    failed: list[Change] = []
    real = [parcel for parcel in parcels if not parcel.ghost]
    for start in range(0, len(real), CHUNK):
        chunk = real[start : start + CHUNK]
        for parcel, page in zip(chunk, _pages(chunk, render), strict=True):
            reason = _take(parcel, page, account)
            if reason:
                failed.append(Change(parcel.id, "render_failed", reason[:120], settled_at=now))
    return failed


def _pages(chunk: Sequence[Parcel], render: Render) -> Sequence[Any]:
    """The renderer's answers; when it raises for the chunk, each message is asked for alone."""
    try:
        return render([parcel.job for parcel in chunk])
    except Exception as error:  # noqa: BLE001 - whatever it raises concerns these messages alone
        if len(chunk) == 1:
            log.warning("delivery %s cannot be rendered: %s", chunk[0].job.public_id, type(error).__name__)
            return [error]
        return [page for parcel in chunk for page in _pages([parcel], render)]


def _take(parcel: Parcel, page: Any, account: Account) -> str:
    """Put the page into the parcel; returns why not, or ""."""
    if isinstance(page, Exception) or not hasattr(page, "parts"):
        return f"{type(page).__name__}: {page}".replace("\x00", "")
    domain = account.sender.rsplit("@", 1)[-1].rstrip("> ") or "localhost"
    parcel.outgoing = Outgoing(
        ref=parcel.job.public_id,
        to=parcel.to,
        to_name=parcel.to_name,
        parts=page.parts,
        message_id=f"<{parcel.job.public_id}@{domain}>",
        headers=page.headers,
        locale=getattr(page, "locale", parcel.job.locale),
        profile_id=parcel.profile,
        expires_at=parcel.expires_at,
    )
    return channels.get(account.channel).check(parcel.outgoing)
