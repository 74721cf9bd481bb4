"""Trying a template on real people: as one of them would get it, and to a colleague's own address.

A trial stands outside the ledger: no delivery, no cap, no report and no token in its links.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.db.models import Max, Min, QuerySet
from django.utils.translation import gettext as _

from common.params import Invalid, Problem
from messaging.channels import Connection, Outcome, Outgoing, channels
from messaging.models import Account, Template
from messaging.outbox.accounts import sender_of
from messaging.publish import preview_template
from messaging.render import Rendered
from messaging.render.preview import sample_of
from segments.models import Profile, Wallet

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
    person = {**profile.traits, **{name: _plain(getattr(profile, name)) for name in PERSON}}
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


def send_trial(template: Template, *, to: str, profile: Profile | None, locale: str) -> str:
    """Send the draft to one address over the channel's default account; returns "" or what the provider said.

    Raises Invalid (the draft, the address, no account), RenderError, ChannelError.
    """
    channel = channels.get(template.channel)
    address = channel.address_of(dict.fromkeys(channel.reads, to))
    if not channel.needs_address or not address:
        raise Invalid([Problem("to", _("this channel cannot send a test there"))])
    account = Account.objects.filter(channel=template.channel, active=True).order_by("-is_default", "pk").first()
    if account is None:
        raise Invalid([Problem("", _("there is no active account for this channel"))])
    rendered = preview_as(template, profile=profile, locale=locale)
    opened: AbstractContextManager[Connection] = channel.connect(sender_of(account))
    with opened as connection:
        answer = next(iter(connection.send([_outgoing(rendered, address)])))
    return "" if answer.outcome == Outcome.SENT else f"{answer.outcome}: {answer.code}"


def _outgoing(rendered: Rendered, to: str) -> Outgoing:
    """The message, marked as a test in its subject or title."""
    parts, mark = dict(rendered.parts), _("Test")
    for name in ("subject", "title"):
        if parts.get(name):
            parts[name] = f"[{mark}] {parts[name]}"
    ref = str(uuid.uuid4())
    return Outgoing(
        ref=ref, to=to, to_name="", parts=parts, message_id=f"<test.{ref}@perennial>", locale=rendered.locale
    )


def _plain(value: Any) -> Any:
    return "" if value is None else value
