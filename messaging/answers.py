"""What people and providers say about a message: clicks, opens and receipts, each once, each only rising.

A click that might be part of a scanner's burst waits two seconds before it counts as a person's; then it becomes
a fact, from which touches, goals and journeys read it. Locks are taken in the order address, delivery.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from common.states import move
from common.text import without_poison
from messaging.machines import BURST, EARLY, Seen, Visit, is_burst, is_swarm, why_machine
from messaging.models import Address, Click, Delivery, Link
from messaging.retry import retrying
from messaging.tokens import Named
from segments.facts import names
from segments.facts.append import append_facts, engine_source
from segments.facts.fact import NewFact

Reached = Delivery.Reached
BATCH = 500
NEVER_LEFT = ("planned", "held", "claimed", "skipped", "expired", "cancelled", "render_failed", "poisoned")


def record_click(named: Named, visit: Visit, *, now: datetime) -> bool:
    """Record a request for a link; whether a person's click became a fact at once. A message that is gone (erased)
    or never left is not recorded."""
    return _record(Click.Kind.CLICK, named.delivery, named.link, visit, now)


def record_open(named: Named, visit: Visit, *, now: datetime) -> bool:
    """The same for the open pixel."""
    return _record(Click.Kind.OPEN, named.delivery, 0, visit, now)


def _record(kind: str, delivery: int, link: int, visit: Visit, now: datetime) -> bool:
    row = Delivery.objects.filter(pk=delivery, ghost=False).exclude(state__in=NEVER_LEFT)
    known = row.values("pk", "sent_at", "version_id", "address_id").first()
    if known is None:
        return False
    place = Link.objects.filter(pk=link).values("pk", "version_id", "locale").first() if link else None
    why = why_machine(visit, sent_at=known["sent_at"], now=now, opening=kind == Click.Kind.OPEN)
    if not why and _may_burst(known["version_id"], place["locale"] if place else None):
        why = Click.WAITING

    def work() -> bool:
        with transaction.atomic():
            prove_arrival(known["pk"], known["address_id"], now=now)
            click = Click.objects.create(
                delivery_id=known["pk"],
                link_id=place["pk"] if place else None,
                kind=kind,
                at=now,
                machine=bool(why) and why != Click.WAITING,
                why=why,
                user_agent=without_poison(visit.user_agent)[:400],
                ip=visit.ip,
            )
            return bool(count_human([click], now=now)) if not why else False

    return retrying(work)


def _may_burst(version: int, locale: str | None) -> bool:
    """Whether the message has two links or more, so that others may follow this one at once."""
    links = Link.objects.filter(version=version, **({} if locale is None else {"locale": locale}))
    counts = links.values("locale").annotate(places=Count("position", distinct=True)).values_list("places", flat=True)
    return any(places > 1 for places in counts)


def settle_clicks(now: datetime) -> dict[str, int]:
    """Judge the clicks and opens that have waited long enough; returns how many were people's and machines'."""
    total = {"human": 0, "machine": 0}
    while True:

        def work() -> tuple[int, int]:
            with transaction.atomic():
                return _settle(now)

        human, machine = retrying(work)
        total["human"] += human
        total["machine"] += machine
        if human + machine < BATCH:
            return total


def _settle(now: datetime) -> tuple[int, int]:
    settled = Q(delivery__sent_at__lte=now - EARLY) | Q(at__lte=now - EARLY)  # else more of a swarm may come
    waiting = Click.objects.filter(settled, why=Click.WAITING, at__lte=now - BURST).order_by("at")
    rows = list(waiting.select_for_update(skip_locked=True, of=("self",))[:BATCH])
    if not rows:
        return 0, 0
    near = Click.objects.filter(
        delivery__in={row.delivery_id for row in rows},
        kind=Click.Kind.CLICK,
        at__gte=rows[0].at - EARLY,
        at__lte=rows[-1].at + EARLY,
    )
    clicks: dict[int, list[Seen]] = defaultdict(list)
    for click in near:
        clicks[click.delivery_id].append(_seen(click))
    sent = dict(Delivery.objects.filter(pk__in=list(clicks)).values_list("pk", "sent_at"))
    swarmed = {pk for pk, seen in clicks.items() if is_swarm(seen, sent_at=sent.get(pk))}
    ids = {
        row.pk
        for row in rows
        if is_burst(_seen(row), clicks[row.delivery_id])
        or (row.delivery_id in swarmed and _is_early(row.at, sent.get(row.delivery_id)))
    }
    people = [row for row in rows if row.pk not in ids]
    Click.objects.filter(pk__in=ids).update(machine=True, why="burst")
    Click.objects.filter(pk__in=[row.pk for row in people]).update(why="")
    count_human(people, now=now)
    return len(people), len(ids)


def _is_early(at: datetime, sent_at: datetime | None) -> bool:
    return sent_at is not None and at - sent_at < EARLY


def _seen(click: Click) -> Seen:
    return Seen((click.link_id or 0) if click.kind == Click.Kind.CLICK else None, click.at)


def count_human(clicks: Sequence[Click], *, now: datetime) -> int:
    """Make facts of people's clicks and opens and raise their messages; returns how many facts were new.

    Every click is a fact; of opens the first of a message. Call inside a transaction.
    """
    if not clicks:
        return 0
    deliveries = {
        row.pk: row
        for row in Delivery.objects.filter(pk__in={click.delivery_id for click in clicks})
        .select_related("version__template", "profile")
        .defer("version__content", "version__template__content", "context", "profile__traits")
    }
    links = Link.objects.in_bulk({click.link_id for click in clicks if click.link_id})
    source = engine_source()
    facts = [_fact(click, deliveries[click.delivery_id], links.get(click.link_id or 0), source) for click in clicks]
    new = append_facts(facts, now=now)
    for click in sorted(clicks, key=lambda click: (click.delivery_id, click.at)):
        _raise(click, deliveries[click.delivery_id])
    return len(new)


def _fact(click: Click, row: Delivery, link: Link | None, source: int) -> NewFact:
    said: dict[str, Any] = {
        "delivery": str(row.public_id),
        "channel": row.channel,
        "template": row.version.template.key,
        "campaign": row.campaign,
        "journey": row.journey,
        "node": row.node,
    }
    if click.kind == Click.Kind.CLICK:
        said |= {"link": (link.alias or str(link.position)) if link else "", "url": link.url if link else ""}
        name, key = names.MESSAGE_CLICKED, f"clicked:{click.pk}"
    else:
        name, key = names.MESSAGE_OPENED, f"opened:{row.public_id}"
    profile = row.profile
    return NewFact(profile.pk, profile.shard, name, click.at, key, source, kind="system", properties=said)


def _raise(click: Click, row: Delivery) -> None:
    """The message was opened or clicked by a person; the address is alive."""
    if row.address_id is not None:
        engaged = Address.objects.filter(pk=row.address_id).exclude(last_engaged_at__gte=click.at)
        engaged.update(last_engaged_at=click.at)
    if click.kind == Click.Kind.CLICK:
        raise_reached(row.pk, Reached.CLICKED, clicked_at=click.at)
    else:
        raise_reached(row.pk, Reached.OPENED, opened_at=click.at)


def raise_reached(delivery: int, level: int, **first: datetime) -> bool:
    """Raise what a message has reached, never lower it; `first` sets a time that is not set yet. Returns whether
    the level rose."""
    for name, at in first.items():
        Delivery.objects.filter(pk=delivery, **{f"{name}__isnull": True}).update(**{name: at})
    return bool(Delivery.objects.filter(pk=delivery, reached__lt=level).update(reached=level))


def prove_arrival(delivery: int, address: int | None, *, now: datetime) -> None:
    """Somebody, a machine even, has the message: it was delivered, whatever we were told. Call inside a
    transaction."""
    if address is not None:
        Address.objects.filter(pk=address, soft_bounces__gt=0).update(soft_bounces=0)
    conclude(delivery, "accepted", "seen by its receiver", now=now)
    raise_reached(delivery, Reached.DELIVERED, delivered_at=now)


def conclude(delivery: int, state: str, reason: str, *, now: datetime) -> bool:
    """End the doubt about a message by proof; other states stay."""
    doubtful = Delivery.objects.filter(pk=delivery, state__in=Delivery.DOUBTFUL)
    return bool(
        move(doubtful, Delivery.MOVES, state, reason=reason, settled_at=now, lease_token=None, lease_until=None)
    )
