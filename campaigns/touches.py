"""Touches: human clicks and visits that carry UTM, read from the fact log, once each.

The reader "touches" also makes conversions of goal facts and gives both their credit, in one transaction, so that
a touch, a conversion and the credit between them are never seen apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from campaigns.conversions import store_conversions
from campaigns.credit import LONGEST, REVERSALS, GoalRule, read_goals, recredit
from campaigns.models import Conversion, Touch
from messaging.models import Delivery
from segments.facts.fact import Fact
from segments.facts.names import MESSAGE_CLICKED, PAGE
from segments.facts.read import process_shard
from segments.ingest.utm import read_utm
from segments.models import Profile

READER = "touches"
BATCH = 500
SAME_VISIT = timedelta(minutes=30)
EMAIL = frozenset(["email", "e-mail", "e_mail", "e mail"])
Utm = dict[str, str]
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def touch_shard(shard: int, now: datetime, *, limit: int = BATCH) -> int:
    """Take in one page of one shard's facts: touches, conversions and their credit; returns how many facts."""
    goals = read_goals()
    names = {MESSAGE_CLICKED, PAGE, *REVERSALS, *(goal.fact for goal in goals)}
    return process_shard(READER, shard, lambda facts: take_in(facts, goals, now=now), now=now, limit=limit, names=names)


def take_in(facts: Sequence[Fact], goals: Sequence[GoalRule], *, now: datetime) -> None:
    """Make touches and conversions of these facts, and credit all that they bear on. Call inside a transaction.

    History (facts imported as such) makes neither: no message of ours can have led to it.
    """
    facts = [fact for fact in facts if fact.live]
    owners = present_owners(fact.profile for fact in facts)
    touched = store_touches(facts, owners)
    converted = store_conversions([(fact, owners[fact.profile]) for fact in facts if fact.profile in owners], goals)
    recredit({*converted, *conversions_after(touched)}, now=now)


def present_owners(people: Iterable[int]) -> dict[int, int]:
    """Profile id → the profile it now belongs to; the rows are locked, so that no merge can pass us by."""
    found: dict[int, int] = {}
    wanted = set(people)
    while wanted:
        rows = Profile.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
        found |= {pk: into or pk for pk, into in rows.values_list("pk", "merged_into_id")}
        wanted = set(found.values()) - found.keys()
    for pk in found:
        while found[found[pk]] != found[pk]:
            found[pk] = found[found[pk]]
    return found


def store_touches(facts: Sequence[Fact], owners: Mapping[int, int]) -> list[tuple[int, datetime]]:
    """Make the touches of these facts; returns (person, time) of all that came or went."""
    rows = [*_clicks([fact for fact in facts if fact.name == MESSAGE_CLICKED])]
    rows += [row for fact in facts if fact.name == PAGE and (row := _visit(fact))]
    rows = [row for row in rows if row.profile_id in owners]
    for row in rows:
        row.profile_id = owners[row.profile_id]
    Touch.objects.bulk_create(rows, ignore_conflicts=True)
    gone = absorb_visits({row.profile_id for row in rows}, [row.at for row in rows])
    return [*((row.profile_id, row.at) for row in rows), *gone]


def absorb_visits(people: Collection[int], times: Collection[datetime]) -> list[tuple[int, datetime]]:
    """Drop visits that are a click's own landing: our link, that person, within 30 minutes of the click.

    Looks at the touches around `times`; returns (person, time) of the visits that went.
    """
    if not times:
        return []
    near = Touch.objects.filter(
        profile__in=people,
        at__gte=min(times) - SAME_VISIT,
        at__lte=max(times) + SAME_VISIT,
        kind__in=[Touch.Kind.CLICK, Touch.Kind.VISIT],
    )
    clicks: dict[int, list[Touch]] = defaultdict(list)
    visits: list[Touch] = []
    for touch in near:
        (clicks[touch.profile_id] if touch.kind == Touch.Kind.CLICK else visits).append(touch)
    gone = [visit for visit in visits if any(same_link(click, visit) for click in clicks[visit.profile_id])]
    Touch.objects.filter(pk__in=[visit.pk for visit in gone]).delete()
    return [(visit.profile_id, visit.at) for visit in gone]


def same_link(click: Touch, visit: Touch) -> bool:
    """Whether the visit is where the click led: the same utm_id (or UTM set, where one has no id), in time."""
    if abs(visit.at - click.at) > SAME_VISIT:
        return False
    if click.utm_id and visit.utm_id:
        return click.utm_id == visit.utm_id
    return bool(click.campaign) and (click.source, click.medium, click.campaign) == (
        visit.source,
        visit.medium,
        visit.campaign,
    )


def conversions_after(touched: Iterable[tuple[int, datetime]]) -> list[int]:
    """Ids of the conversions whose path a touch of (person, time) may belong to."""
    times: dict[int, list[datetime]] = defaultdict(list)
    for person, at in touched:
        times[person].append(at)
    if not times:
        return []
    first = min(min(ats) for ats in times.values())
    last = max(max(ats) for ats in times.values()) + LONGEST
    rows = Conversion.objects.filter(profile__in=times, at__gte=first, at__lte=last).exclude(name__in=REVERSALS)
    return [
        pk
        for pk, person, at in rows.values_list("pk", "profile_id", "at")
        if any(touch <= at <= touch + LONGEST for touch in times[person])
    ]


def channel_of(utm: Utm) -> str:
    """The channel that source and medium speak of, after GA4's default channel groups."""
    source, medium = utm.get("source", ""), utm.get("medium", "")
    if source in EMAIL or medium in EMAIL:
        return "email"
    if "sms" in (source, medium):
        return "sms"
    if medium.endswith("push") or "notification" in medium or source == "firebase":
        return "push"
    if medium.startswith("social"):
        return "social"
    return "paid" if medium in ("cpc", "ppc", "retargeting") or medium.startswith("paid") else "web"


def _visit(fact: Fact) -> Touch | None:
    """The touch of a page fact whose address or context carries UTM."""
    utm = read_utm(fact.properties, fact.context)
    return _touch(fact, Touch.Kind.VISIT, channel_of(utm), utm) if utm else None


def _clicks(facts: Sequence[Fact]) -> Iterable[Touch]:
    """The touches of human clicks, with the UTM of the link as it was sent; a ghost's message has none."""
    known = _deliveries([fact.properties.get("delivery") for fact in facts])
    for fact in facts:
        delivery = known.get(str(fact.properties.get("delivery")))
        utm = read_utm({"url": fact.properties.get("url")}, {})
        if delivery is None:
            yield _touch(fact, Touch.Kind.CLICK, channel_of(utm), utm)
        elif not delivery.ghost:
            utm = utm or read_utm(delivery.utm, {})
            yield _touch(fact, Touch.Kind.CLICK, delivery.channel, utm, delivery=delivery.pk)


def _deliveries(names: Iterable[object]) -> dict[str, Delivery]:
    """Deliveries by the id or public id that a fact names."""
    texts = {str(name) for name in names}
    ids = {int(text) for text in texts if text.isdecimal() and len(text) < 19}
    uuids = {UUID(text) for text in texts if _UUID.fullmatch(text)}
    rows = Delivery.objects.only("id", "public_id", "channel", "utm", "ghost")
    found = {str(row.pk): row for row in rows.filter(pk__in=ids)} if ids else {}
    return found | ({str(row.public_id): row for row in rows.filter(public_id__in=uuids)} if uuids else {})


def _touch(fact: Fact, kind: str, channel: str, utm: Utm, *, delivery: int | None = None) -> Touch:
    return Touch(
        key=f"fact:{fact.id}",
        profile_id=fact.profile,
        at=fact.occurred_at,
        kind=kind,
        channel=channel[:20],
        source=utm.get("source", ""),
        medium=utm.get("medium", ""),
        campaign=utm.get("campaign", ""),
        content=utm.get("content", ""),
        term=utm.get("term", ""),
        utm_id=utm.get("id", ""),
        delivery=delivery,
        fact=fact.id,
    )
