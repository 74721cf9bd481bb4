"""Trying a template on real people: as one of them would get it, and to a colleague's own address or devices.

A trial stands outside the ledger: no delivery, no cap, no report and no token in its links.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Max, Min, QuerySet
from django.utils.translation import gettext as _

from common.params import Invalid, Problem
from messaging.channels import Connection, Device, Outcome, Outgoing, channels
from messaging.devices import addresses_of, behind, forget
from messaging.models import Account, Template
from messaging.outbox.accounts import sender_of
from messaging.publish import preview_template
from messaging.render import Rendered
from messaging.render.preview import sample_of
from messaging.render.words import translated
from segments.models import Profile, Wallet
from segments.people import NobodyFound, find_person

LIFE = timedelta(hours=1)  # that a push service may keep a test
PERSON = (
    "public_id", "email", "phone", "first_name", "last_name", "locale", "timezone", "country", "city", "gender",
    "birthday", "registered_at",
)  # fmt: skip


def preview_as(
    template: Template, *, profile: Profile | None, locale: str, extra: Mapping[str, Any] | None = None
) -> Rendered:
    """The draft as that person would get it; without a person, with the template's sample data; `extra` over both.

    What a person does not have (the event, the coupon) comes from the sample data. Raises Invalid with all
    problems of the draft, RenderError when the data do not suffice.
    """
    context = context_for(template, profile=profile, locale=locale)
    return preview_template(template, locale=locale, context=laid_over(context, extra or {}))


def laid_over(context: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Variables with others laid over them, one step deep: {"profile": {"city": …}} changes the city alone."""
    merged = dict(context)
    for name, value in extra.items():
        ours = merged.get(name)
        merged[name] = {**ours, **value} if isinstance(ours, Mapping) and isinstance(value, Mapping) else value
    return merged


def living() -> QuerySet[Profile]:
    """The people that a message can be tried on."""
    return Profile.objects.filter(merged_into=None, erased_at=None)


def anybody(draw: Callable[[int, int], int]) -> Profile | None:
    """One person by chance, without counting them; `draw` gives a whole number between two, both included."""
    ends = living().aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return None
    return living().filter(pk__gte=draw(ends["first"], ends["last"])).order_by("pk").first()


def context_for(template: Template, *, profile: Profile | None, locale: str) -> Mapping[str, Any]:
    """The variables of a trial, by name."""
    sample = sample_of(template.sample, locale)
    if profile is None:
        return sample
    plain = profile.no_profiling and template.klass == "marketing"  # as the message itself would be
    person = {**({} if plain else profile.traits), **{name: _plain(getattr(profile, name)) for name in PERSON}}
    wallet = Wallet.objects.filter(profile=profile).select_related("level").first()
    level = wallet.level if wallet else None
    return {
        **sample,
        "profile": person,
        "points": {"balance": wallet.balance if wallet else 0},
        "level": {"key": level.key, "name": level.name, "rank": level.rank}
        if level
        else {"key": "", "name": "", "rank": 0},
    }


class Reach(StrEnum):
    """Where a test of a channel can go: to an address, to the devices of a person, to where the account leads (a group,
    another system), or nowhere, for the ledger's row is the message itself."""

    ADDRESS = "address"
    DEVICES = "devices"
    ACCOUNT = "account"
    NOWHERE = "nowhere"


def reach_of(key: str) -> Reach:
    """Where a test of this channel can go."""
    channel = channels.get(key)
    if channel.registers:
        return Reach.DEVICES
    if channel.stores:
        return Reach.NOWHERE
    return Reach.ADDRESS if channel.reads else Reach.ACCOUNT


def send_trial(template: Template, *, to: str, profile: Profile | None, locale: str, now: datetime) -> str:
    """Send the draft over the channel's default account; returns "" or what the provider said. `to` is an address, or
    for push whose devices: an e-mail, a user id or a public id. Nothing is counted, and no link carries a token.

    Raises Invalid (the draft, the address, no account, no device), RenderError, ChannelError.
    """
    channel = channels.get(template.channel)
    address, devices = _reached(template.channel, to)
    account = Account.objects.filter(channel=template.channel, active=True).order_by("-is_default", "pk").first()
    if account is None:
        raise Invalid([Problem("", _("there is no active account for this channel"))])
    message = _outgoing(preview_as(template, profile=profile, locale=locale), address, devices, now)
    if wrong := channel.check(message):
        raise Invalid([Problem("", translated(wrong))])
    opened: AbstractContextManager[Connection] = channel.connect(sender_of(account))
    with opened as connection:
        answer = next(iter(connection.send([message])))
    if answer.gone:
        forget(answer.gone, now=now, why=answer.code)
    return "" if answer.outcome == Outcome.SENT else f"{answer.outcome}: {answer.code}"


def _reached(key: str, to: str) -> tuple[str, tuple[Device, ...]]:
    """The address and the devices of a test. Raises Invalid."""
    channel, reach = channels.get(key), reach_of(key)
    address = channel.address_of(dict.fromkeys(channel.reads, to)) if reach is Reach.ADDRESS else ""
    if reach is Reach.NOWHERE or (reach is Reach.ADDRESS and not address):
        raise Invalid([Problem("to", _("this channel cannot send a test there"))])
    if reach is not Reach.DEVICES:
        return address, ()
    try:
        person = find_person(to)
    except NobodyFound:
        raise Invalid([Problem("to", _("nobody is known by that name"))]) from None
    pk = addresses_of([(key, person.pk)]).get((key, person.pk))
    found = behind([pk]).get(pk, ()) if pk is not None else ()
    if not found:
        raise Invalid([Problem("to", _("this person has registered no device"))])
    return str(person.public_id), found


def _outgoing(rendered: Rendered, to: str, devices: tuple[Device, ...], now: datetime) -> Outgoing:
    """The message, marked as a test where a person reads first. JSON for another system is told by its id alone."""
    parts, mark = dict(rendered.parts), _("Test")
    heads = [name for name in ("subject", "title") if parts.get(name)]
    for name in heads or [name for name in ("text", "markdown") if parts.get(name)]:
        parts[name] = f"[{mark}] {parts[name]}"
    ref = f"test-{uuid.uuid4()}"
    return Outgoing(
        ref=ref, to=to, to_name="", parts=parts, message_id=f"<{ref}@perennial>", locale=rendered.locale,
        devices=devices, at=now, expires_at=now + LIFE,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    return "" if value is None else value
