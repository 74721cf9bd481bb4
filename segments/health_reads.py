"""Health as pages and programs show it: one person explained part by part, and everybody by band."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Avg, Count, Q
from django.utils.translation import override

from segments.health import in_order
from segments.health_bands import part
from segments.health_rules import read_rules
from segments.health_values import Rules
from segments.models import Health, HealthChange, HealthRules
from segments.models.known import Band


@dataclass(frozen=True)
class PartOfHealth:
    """One metric of one person: its value in words and bounds, the points (0 to 100) these make, its share of the
    known weights, and what it contributes to the score. All of them are None where nothing is known."""

    key: str
    title: str
    weight: float
    low: float
    high: float
    value: float | None = None
    said: str = ""
    before: float | None = None
    points: float | None = None
    contribution: float | None = None


@dataclass(frozen=True)
class Explained:
    """Why somebody's health is what it is; the contributions add up to the score."""

    score: float | None
    band: str
    label: str
    since: datetime | None
    trend: float | None
    weeks: int
    coverage: float
    parts: list[PartOfHealth]


@dataclass(frozen=True)
class BandCount:
    """People in one band ("" for those of whom too little is known), and their mean score and trend."""

    band: str
    label: str
    people: int
    score: float | None
    trend: float | None


@dataclass(frozen=True)
class Listed:
    """One person of a list of health, with the account of it."""

    row: Health
    explained: Explained


def explain_health(profile: int, language: str) -> Explained | None:
    """The parts of a person's health by the rules it was judged by; None for who was never judged."""
    row = Health.objects.select_related("rules").filter(profile=profile).first()
    return None if row is None or row.rules is None else _explained(row, read_rules(row.rules), language)


def people_of_band(
    band: str, language: str, *, after: tuple[float, int] | None = None, limit: int = 40
) -> list[Listed]:
    """People of one band, the worst first, explained; `after` is (score, profile) of the last one seen. Two statements
    whatever the limit. Those of whom too little is known ("") have no score and come by their id."""
    rows = Health.objects.filter(band=band, rules__isnull=False).select_related("profile").order_by("score", "pk")
    if band and after is not None:
        rows = rows.filter(Q(score__gt=after[0]) | Q(score=after[0], pk__gt=after[1]))
    elif after is not None:
        rows = rows.filter(pk__gt=after[1])
    found = list(rows[:limit] if band else rows.order_by("pk")[:limit])
    kept = HealthRules.objects.in_bulk({row.rules_id for row in found if row.rules_id is not None})
    rules = {pk: read_rules(row) for pk, row in kept.items()}
    return [Listed(row, _explained(row, rules[row.rules_id], language)) for row in found if row.rules_id in rules]


def _explained(row: Health, rules: Rules, language: str) -> Explained:
    known = sum(rules.weights[key] for key in row.parts if rules.weights.get(key, 0) > 0) or 1.0
    parts = []
    for metric in in_order():
        weight, (low, high) = rules.weights[metric.key], rules.bounds[metric.key]
        if weight <= 0:
            continue
        value, before = row.parts.get(metric.key), row.parts_before.get(metric.key)
        if value is None:
            parts.append(PartOfHealth(metric.key, metric.title(language), weight, low, high, before=before))
            continue
        points = part(value, (low, high))
        parts.append(
            PartOfHealth(
                metric.key, metric.title(language), weight, low, high, value,
                metric.say(rules.params[metric.key], value, language), before, points,
                None if row.score is None else weight * points / known,
            )
        )  # fmt: skip
    with override(language):
        label = str(Band(row.band).label) if row.band else ""
    return Explained(row.score, row.band, label, row.since, row.trend, rules.lag // 7, row.coverage, parts)


def people_by_band() -> list[BandCount]:
    """One row for every band, the best first; a band without people counts 0."""
    counted = Health.objects.order_by().values_list("band").annotate(n=Count("pk"), score=Avg("score"), t=Avg("trend"))
    found = {band: (people, score, trend) for band, people, score, trend in counted}
    labels = {**{band.value: str(band.label) for band in Band}, "": ""}
    return [BandCount(band, label, *found.get(band, (0, None, None))) for band, label in labels.items()]


def band_flow(*, since: datetime, until: datetime) -> dict[tuple[str, str], int]:
    """How many moves there were from one band to another, after `since` up to `until`."""
    moves = HealthChange.objects.filter(at__gt=since, at__lte=until).order_by()
    rows = moves.values_list("before", "after").annotate(n=Count("pk"))
    return {(before, after): count for before, after, count in rows}


def changes_of(profile: int, limit: int = 20) -> list[HealthChange]:
    """A person's moves between bands, the newest first."""
    return list(HealthChange.objects.filter(profile=profile).order_by("-at", "-pk")[:limit])
