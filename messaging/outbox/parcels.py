"""From a claimed row to something a channel can carry: variables, rendering, and the last look at headers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from common.compiled import rows_of
from common.naming import full_name
from messaging.channels import Device, Outgoing, channels
from messaging.devices import behind
from messaging.models import Account, Delivery
from messaging.outbox.judge import stumbled
from messaging.outbox.ledger import Change
from messaging.render.contract import Rendered, RenderError, RenderJob
from messaging.tokens import return_token
from segments.models import Wallet

log = logging.getLogger(__name__)
CHUNK = 100  # messages rendered in one request
PERSON = (
    "public_id", "email", "phone", "first_name", "last_name", "locale", "timezone", "country", "city", "gender",
    "birthday", "registered_at",
)  # fmt: skip
COLUMNS = (
    "id", "public_id", "version_id", "address_id", "profile_id", "channel", "campaign", "journey", "enrolment", "node",
    "variant", "context", "utm", "expires_at", "claims", "ghost", "address__value", "profile__traits", "klass",
    "profile__no_profiling",
)  # fmt: skip
NAMES = (*COLUMNS, *(f"profile__{name}" for name in PERSON))
PURSE = ("pk", "balance", "level__key", "level__name", "level__rank")


Render = Callable[[Sequence[RenderJob]], Sequence[Rendered | RenderError]]


@dataclass
class Parcel:
    """One claimed message on its way: its job and, once rendered, what the channel gets."""

    id: int
    profile: int
    address: int | None
    job: RenderJob
    to: str
    to_name: str
    expires_at: datetime | None
    claims: int = 0
    ghost: bool = False
    outgoing: Outgoing | None = field(default=None)
    devices: tuple[Device, ...] = ()


def read_parcels(ids: Sequence[int], *, ghosts: Collection[int] = ()) -> list[Parcel]:
    """Parcels for rows of the ledger, in the order of `ids`: two statements whatever their number, and one for devices.
    `ghosts` are the ids of those that were just found to be held out."""
    found = {
        values[0]: dict(zip(NAMES, values, strict=True))
        for values in rows_of("parcels", lambda _: Delivery.objects.values_list(*NAMES), "pk", ids)
    }
    purses = _purses({row["profile_id"] for row in found.values()})
    parcels = [_parcel(found[pk], purses, ghost=found[pk]["ghost"] or pk in ghosts) for pk in ids if pk in found]
    pushed = {
        row["address_id"] for row in found.values() if row["address_id"] and channels.get(row["channel"]).registers
    }
    known = behind(sorted(pushed)) if pushed else {}
    for parcel in parcels:
        parcel.devices = known.get(parcel.address or 0, ())
    return parcels


def _purses(people: set[int]) -> dict[int, dict[str, Any]]:
    rows = rows_of("purses", lambda _: Wallet.objects.values_list(*PURSE), "pk", list(people))
    return {
        who: {"points": {"balance": balance}, "level": {"key": key or "", "name": name or "", "rank": rank or 0}}
        for who, balance, key, name, rank in rows
    }


_EMPTY_PURSE: dict[str, Any] = {"points": {"balance": 0}, "level": {"key": "", "name": "", "rank": 0}}


def _parcel(row: Mapping[str, Any], purses: Mapping[int, dict[str, Any]], *, ghost: bool) -> Parcel:
    person = {name: _plain(row[f"profile__{name}"]) for name in PERSON}
    plain = row["profile__no_profiling"] and row["klass"] == "marketing"  # what everybody gets (PIPL 24)
    context = {
        **purses.get(row["profile_id"], _EMPTY_PURSE),
        **row["context"],
        "profile": person if plain else {**row["profile__traits"], **person},
        "journey": {"key": row["journey"], "node": row["node"], "campaign": row["campaign"]},
    }
    job = RenderJob(
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
    return Parcel(
        row["id"],
        row["profile_id"],
        row["address_id"],
        job,
        row["address__value"] or "",
        full_name(person["first_name"], person["last_name"], person["locale"]),
        row["expires_at"],
        row["claims"],
        ghost,
    )


def _plain(value: Any) -> Any:
    """Templates see scalars only."""
    if value is None or isinstance(value, (str, int, float)):
        return "" if value is None else value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def render_all(
    parcels: Sequence[Parcel], *, render: Render, account: Account, now: datetime, keep: Callable[[], None]
) -> list[Change]:
    """Fill in `outgoing`; returns the changes of those that cannot be rendered. Ghosts are not rendered. `keep` is
    called between requests, to keep the lease alive."""
    failed: list[Change] = []
    real = [parcel for parcel in parcels if not parcel.ghost]
    for start in range(0, len(real), CHUNK):
        chunk = real[start : start + CHUNK]
        for parcel, page in zip(chunk, _pages(chunk, render), strict=True):
            change = _take(parcel, page, account, now)
            if change is not None:
                failed.append(change)
        keep()
    return failed


def _pages(chunk: Sequence[Parcel], render: Render) -> Sequence[Rendered | Exception]:
    """The renderer's answers; when it raises for the chunk, each message is asked for alone."""
    try:
        return render([parcel.job for parcel in chunk])
    except Exception as error:  # noqa: BLE001 - whatever it raises concerns these messages alone
        if len(chunk) == 1:
            log.warning("delivery %s cannot be rendered: %s", chunk[0].job.public_id, type(error).__name__)
            return [error]
        return [page for parcel in chunk for page in _pages([parcel], render)]


def _take(parcel: Parcel, page: Rendered | Exception, account: Account, now: datetime) -> Change | None:
    """Put the page into the parcel; what cannot be rendered, or never be sent, gets the change that says so."""
    if isinstance(page, Exception):
        if isinstance(page, RenderError) and page.permanent:
            return Change(parcel.id, "render_failed", _clean(str(page)), settled_at=now)
        return stumbled({"id": parcel.id, "claims": parcel.claims}, f"render:{type(page).__name__}", now)
    parcel.outgoing = Outgoing(
        ref=parcel.job.public_id,
        to=parcel.to,
        to_name=parcel.to_name,
        parts=page.parts,
        message_id=f"<{parcel.job.public_id}@{_domain(account.sender)}>",
        headers=page.headers,
        locale=page.locale,
        profile_id=parcel.profile,
        expires_at=parcel.expires_at,
        return_token=return_token(parcel.id) if "{token}" in str(account.settings.get("envelope_from", "")) else "",
        devices=parcel.devices,
    )
    wrong = channels.get(account.channel).check(parcel.outgoing)
    return Change(parcel.id, "render_failed", _clean(wrong), settled_at=now) if wrong else None


def _clean(text: str) -> str:
    return text.replace("\x00", "")[:120]


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2].rstrip("> ") or "localhost"
