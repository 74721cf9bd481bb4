"""What an operator sees at a glance about decisions: journeys with their funnels, conversions, what is parked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from campaigns.models import Campaign, Conversion, Enrolment, Journey, JourneyVersion, Visit
from messaging.overview import outcomes_by_journey

COUNTED = ("entered", "active", "parked", "refused", "held_out", "converted")
NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True)
class Funnel:
    """One journey in figures: people entered, under way, parked, messages sent, clicked, people converted."""

    journey: Journey
    entered: int
    active: int
    parked: int
    refused: int
    held_out: int
    sent: int
    clicked: int
    converted: int

    @property
    def steps(self) -> list[tuple[str, int, int]]:
        """(name, figure, width in per cent) of the bars."""
        top = max(self.entered, 1)
        figures = [("entered", self.entered), ("sent", self.sent), ("clicked", self.clicked)]
        figures.append(("converted", self.converted))
        return [(name, figure, min(100, round(100 * figure / top))) for name, figure in figures]


def campaign_keys() -> list[str]:
    """Keys of all campaigns, and the empty one of messages that belong to none."""
    return ["", *Campaign.objects.values_list("key", flat=True)]


def conversions_by_day(*, since: datetime, zone: ZoneInfo) -> dict[date, tuple[int, int]]:
    """(conversions, value in minor units) per local day since `since`."""
    rows = (
        Conversion.objects.filter(at__gte=since)
        .annotate(day=TruncDate("at", tzinfo=zone))
        .values_list("day")
        .annotate(n=Count("pk"), value=Sum("value"))
        .order_by("day")
    )
    return {day: (n, value or 0) for day, n, value in rows}


def funnels(limit: int = 6) -> list[Funnel]:
    """The journeys that run or ran, live ones first, with their figures; three statements however many."""
    order = Journey.objects.exclude(state="archived").select_related("campaign").order_by("state", "-live_since", "key")
    journeys = sorted(order[: limit * 3], key=lambda one: ["live", "paused", "draft"].index(one.state))[:limit]
    return list(funnels_of(journeys).values())


def funnels_of(journeys: Sequence[Journey]) -> dict[int, Funnel]:
    """The same for given journeys, by id; two statements."""
    counts = _counts([journey.pk for journey in journeys])
    sent = outcomes_by_journey([journey.key for journey in journeys])
    return {j.pk: _funnel(j, counts.get(j.pk, NOTHING), sent.get(j.key, NOTHING)) for j in journeys}


def funnel_of(journey: Journey) -> Funnel:
    """The same for one journey."""
    return funnels_of([journey])[journey.pk]


def _counts(journeys: Sequence[int]) -> dict[int, Mapping[str, int]]:
    rows: Any = (
        Enrolment.objects.filter(journey__in=journeys)
        .values("journey")
        .annotate(
            entered=Count("pk", filter=~Q(state="refused")),
            active=Count("pk", filter=Q(state="active")),
            parked=Count("pk", filter=Q(state="parked")),
            refused=Count("pk", filter=Q(state="refused")),
            held_out=Count("pk", filter=Q(ghost=True) & ~Q(state="refused")),
            converted=Count("pk", filter=Q(converted_at__isnull=False)),
        )
        .order_by()
    )
    return {row["journey"]: {name: row[name] for name in COUNTED} for row in rows}


def _funnel(journey: Journey, counts: Mapping[str, int], sent: Mapping[str, int]) -> Funnel:
    figures = {name: counts.get(name, 0) for name in COUNTED}
    return Funnel(journey, sent=sent.get("sent", 0), clicked=sent.get("clicked", 0), **figures)


def here_now(journey: int) -> dict[str, int]:
    """People who stand at each step now (under way or parked), by node key."""
    rows = Enrolment.objects.filter(journey=journey, state__in=["active", "parked"]).values_list("node")
    return dict(rows.annotate(n=Count("pk")).order_by())


def came_through(journey: int) -> dict[str, int]:
    """Visits at each step so far, by node key."""
    return dict(Visit.objects.filter(journey=journey).values_list("node").annotate(n=Count("pk")).order_by())


def parked_enrolments(limit: int = 8) -> QuerySet[Enrolment]:
    """The newest parked ones, with person and journey."""
    rows = Enrolment.objects.filter(journey__in=Journey.objects.values("pk"), state="parked")
    return rows.select_related("journey", "profile").order_by("-moved_at")[:limit]


def parked_by_journey() -> list[tuple[str, int]]:
    rows = Enrolment.objects.filter(journey__in=Journey.objects.values("pk"), state="parked")
    return list(rows.values_list("journey__key").annotate(n=Count("pk")).order_by("-n"))


def versions_of(journey: int) -> QuerySet[JourneyVersion]:
    return JourneyVersion.objects.filter(journey=journey).select_related("published_by").order_by("-number")


def under_way_by_version(journey: int) -> list[tuple[int, int]]:
    """(version number, people under way), newest version first."""
    rows = Enrolment.objects.filter(journey=journey, state__in=["active", "parked"])
    return list(rows.values_list("version__number").annotate(n=Count("pk")).order_by("-version__number"))


def visits_of(enrolment: int) -> QuerySet[Visit]:
    return Visit.objects.filter(enrolment=enrolment).order_by("n")


def has_live_journey() -> bool:
    return Journey.objects.filter(state="live").exists()


def has_journey() -> bool:
    return Journey.objects.exists()
