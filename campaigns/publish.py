"""Publishing: a draft becomes a frozen version that new people walk; and the other moves of a journey's life."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Max
from django.utils.translation import gettext as _

from campaigns import transfer
from campaigns.assign import ensure_holdout
from campaigns.checking import check, digest_of
from campaigns.endings import end_all
from campaigns.graph import Graph, read_graph
from campaigns.linting import lint_graph, refuse
from campaigns.models import Enrolment, Journey, JourneyVersion, Review, Transfer
from campaigns.review import Forbidden as Forbidden
from campaigns.review import objection
from campaigns.schedule import fill
from common.audit import record
from common.models import Tick
from common.params import Invalid, Problem
from common.states import move
from segments.models import Membership

FATES = ("finish", "move", "exit")


@dataclass(frozen=True)
class People:
    """What becomes of people under way on older versions: they "finish" there, "move" (as `mapping` says: version
    number → node → node of the new version, "@exit" or "@stay"; the rest as suggested), or "exit"."""

    fate: str = "finish"
    mapping: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


FINISH = People()


@dataclass(frozen=True)
class UnderWay:
    """People on one version, standing at one node."""

    version: int
    node: str
    people: int


def publish(
    journey: Journey,
    *,
    now: datetime,
    by: Any = None,
    enter_present: bool = False,
    note: str = "",
    confirmed: Collection[str] | None = None,
    people: People = FINISH,
    seen: bool = False,
) -> JourneyVersion:
    """Freeze the draft as the next version and let new people walk it; people under way finish on theirs unless
    `people` says otherwise.

    `confirmed` are the warnings that a person has said yes to (campaigns.linting.ask_of); None, for programs, says yes
    to all. `seen`: this flow ran before, so no second person is asked. Raises Invalid with every problem (also of the
    mapping), Unconfirmed with every warning, Forbidden when a second person has to approve; then nothing is stored.

    With `enter_present` those who are in the trigger's segment now enter too (`present_count` says how many). Of both
    the first page is done at once, the rest by tasks. An unchanged flow makes no new version.
    """
    with transaction.atomic():
        journey = Journey.objects.select_for_update(of=("self",)).select_related("campaign").get(pk=journey.pk)
        if journey.state == Journey.State.ARCHIVED:
            raise Forbidden(_("an archived journey cannot be published"))
        graph = check(journey)
        refuse(lint_graph(graph, journey), confirmed)
        against = "" if seen else objection(journey, graph, by=by, now=now)
        if against:
            raise Forbidden(against)
        ensure_holdout(journey, now=now)
        version = _freeze(journey, graph, now=now, by=by, note=note)
        _go_live(journey, version, now=now)
        moving = _transfer(journey, graph, version, people, now=now, by=by, note=note)
        occasion = plan_present(journey, now=now) if enter_present else None
        detail = {"version": version.number, "digest": version.digest, "enter_present": enter_present}
        detail |= {"under_way": people.fate, "people": moving.total if moving else 0}
        record("journey.publish", f"journey:{journey.key}", now=now, actor=by, reason=note, detail=detail)
    if occasion is not None:
        fill(occasion, now=now, go_on=lambda: False)
    if moving is not None:
        transfer.run(moving.pk, now=now, go_on=lambda: False)
    return version


def roll_back(
    journey: Journey, number: int, *, now: datetime, by: Any = None, note: str = "", people: People = FINISH
) -> JourneyVersion:
    """Run an older version again: its flow, template versions and all, becomes the draft and the next version.

    Raises Forbidden when there is no such version or it is what runs; Invalid when it can no longer run. It ran
    before, so nobody is asked again.
    """
    journey.refresh_from_db()
    old = journey.versions.filter(number=number).first()
    if old is None:
        raise Forbidden(_("there is no version %(n)s") % {"n": number})
    if old.pk == journey.live_version_id:
        raise Forbidden(_("version %(n)s is what runs") % {"n": number})
    with transaction.atomic():
        Journey.objects.filter(pk=journey.pk).update(draft=old.graph)
        journey.refresh_from_db()
        note = note or _("as version %(n)s") % {"n": number}
        version = publish(journey, now=now, by=by, note=note[:200], people=people, seen=True)
        record("journey.roll_back", f"journey:{journey.key}", now=now, actor=by, reason=note, detail={"to": number})
    journey.refresh_from_db()
    return version


def transfer_people(journey: Journey, people: People, *, now: datetime, by: Any = None, reason: str = "") -> int:
    """Move people from older versions to the one that runs, or out; returns how many are to move."""
    journey.refresh_from_db()
    if journey.live_version is None:
        raise Forbidden(_("the journey was never published"))
    graph = read_graph(journey.live_version.graph)
    made = _transfer(journey, graph, journey.live_version, people, now=now, by=by, note=reason)
    if made is None:
        return 0
    transfer.run(made.pk, now=now, go_on=lambda: False)
    return made.total


def _transfer(
    journey: Journey, graph: Graph, version: JourneyVersion, people: People, *, now: datetime, by: Any, note: str
) -> Transfer | None:
    if people.fate not in FATES:
        raise Invalid([Problem("under_way", _("is one of: %(these)s") % {"these": ", ".join(FATES)})])
    if people.fate == "finish":
        return None
    plan = transfer.plan_for(journey, graph, people.fate, people.mapping, but=version.pk)
    return transfer.begin(journey, version, plan, now=now, by=by, reason=note)


def present_count(journey: Journey) -> int:
    """How many people the trigger's segment holds now, who would enter with `enter_present`."""
    segment = _audience(journey)
    return Membership.objects.filter(segment__key=segment).count() if segment else 0


def under_way(journey: Journey) -> list[UnderWay]:
    """How many people are on which version, at which node."""
    rows = Enrolment.objects.filter(journey=journey, state__in=[Enrolment.State.ACTIVE, Enrolment.State.PARKED])
    counted = rows.values_list("version__number", "node").annotate(n=Count("pk")).order_by("version__number", "node")
    return [UnderWay(*row) for row in counted]


def plan_present(journey: Journey, *, now: datetime) -> Tick | None:
    """Note that those present are to enter; `campaigns.schedule` lets them in, page by page."""
    if not _audience(journey):
        return None
    return Tick.objects.get_or_create(schedule=f"present:{journey.pk}", slot=now, defaults={"started_at": now})[0]


def pause(journey: Journey, *, now: datetime, by: Any = None, reason: str = "") -> None:
    """Take nobody in and move nobody on; exits and goals still count. Raises Forbidden unless live."""
    _move(journey, Journey.State.PAUSED, now=now, by=by, reason=reason)


def resume(journey: Journey, *, now: datetime, by: Any = None, reason: str = "") -> None:
    """Go on after a pause: who became due meanwhile moves now; slots of the pause are not made up for."""
    _move(journey, Journey.State.LIVE, now=now, by=by, reason=reason, live_since=now)


def archive(journey: Journey, *, now: datetime, by: Any = None, reason: str = "") -> int:
    """Close the journey for good; everybody under way leaves it. Returns how many did."""
    _move(journey, Journey.State.ARCHIVED, now=now, by=by, reason=reason)
    return end_all(journey.pk, reason="archived", now=now)


def _move(journey: Journey, to: str, *, now: datetime, by: Any, reason: str, **also: Any) -> None:
    sources = Journey.objects.filter(pk=journey.pk)
    if to == Journey.State.LIVE:
        sources = sources.filter(state=Journey.State.PAUSED)
    with transaction.atomic():
        if not move(sources, Journey.MOVES, to, **also):
            raise Forbidden(_("journey '%(key)s' is not in a state for this") % {"key": journey.key})
        record(f"journey.{to}", f"journey:{journey.key}", now=now, actor=by, reason=reason)
    journey.refresh_from_db()


def _freeze(journey: Journey, graph: Graph, *, now: datetime, by: Any, note: str) -> JourneyVersion:
    """The draft's version: the live one when nothing changed, else a new row."""
    frozen = graph.dump()
    digest = digest_of(frozen)
    live = journey.live_version
    if live is not None and live.digest == digest:
        return live
    last = journey.versions.aggregate(n=Max("number"))["n"] or 0
    user = by if getattr(by, "is_authenticated", False) and getattr(by, "pk", None) else None
    return JourneyVersion.objects.create(
        journey=journey, number=last + 1, graph=frozen, digest=digest, published_at=now, published_by=user, note=note
    )


def _go_live(journey: Journey, version: JourneyVersion, *, now: datetime) -> None:
    if journey.state != Journey.State.LIVE or journey.live_since is None:
        journey.live_since = now
    journey.state, journey.live_version, journey.editors = Journey.State.LIVE, version, []
    journey.save(update_fields=["state", "live_version", "live_since", "editors"])
    reviews, why = Review.objects.filter(journey=journey), f"version {version.number}"
    move(reviews, Review.MOVES, Review.State.WITHDRAWN, decided_at=now, reason=why)


def _audience(journey: Journey) -> str:
    graph = read_graph(journey.draft)
    return graph.trigger.audience(graph.trigger_params)
