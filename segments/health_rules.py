"""By which weights, bounds and parameters health is judged: one frozen row per version, renewed each month.

Bounds are the 5th and 95th percentile of the people seen in the last 90 days, so that a part says where somebody
stands among the others; an operator may set them by hand. A new version is followed by one pass over everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from pydantic import Field

from common.audit import record
from common.buckets import BUCKETS
from common.params import Invalid, Params, Problem, read_params
from common.periods import local_date
from segments.health import in_order, metrics
from segments.health_bands import Bounds
from segments.health_values import Rules, measure_page
from segments.lifecycle import quantile
from segments.models import HealthRules, Profile

SEEN = timedelta(days=90)
LOW, HIGH = 0.05, 0.95
FEW = 100  # people with a value, from which on percentiles are taken
SMALL = 1000
SAMPLE = 20_000
PAGE = 1000
Finite = Annotated[float, Field(ge=-1e15, le=1e15)]


class HealthSettings(Params):
    """What an operator may set; what is left out keeps its default. `bounds` set here are not renewed."""

    weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(default_factory=dict)
    bounds: dict[str, tuple[Finite, Finite]] = Field(default_factory=dict)
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    trend_weeks: Annotated[int, Field(ge=1, le=12)] = 2


def check_settings(raw: Mapping[str, Any]) -> HealthSettings:
    """Read an operator's settings. Raises Invalid with every problem and its path."""
    settings = read_params(HealthSettings, raw)
    problems = [
        Problem(f"{part}.{key}", f"there is no metric '{key}' (known: {', '.join(metrics.keys())})")
        for part in ("weights", "bounds", "params")
        for key in getattr(settings, part)
        if key not in metrics
    ]
    for key, (low, high) in settings.bounds.items():
        if not low < high:
            problems.append(Problem(f"bounds.{key}", f"the lower bound {low:g} is not below the upper bound {high:g}"))
    if not any(weight > 0 for weight in _weights(settings.weights).values()):
        problems.append(Problem("weights", "at least one weight must be above 0"))
    for key, given in settings.params.items():
        if key in metrics:
            try:
                read_params(metrics.get(key).Params, given, path=f"params.{key}")
            except Invalid as invalid:
                problems += invalid.problems
    if problems:
        raise Invalid(problems)
    return settings


def choose_rules(raw: Mapping[str, Any], *, now: datetime, zone: ZoneInfo, actor: Any = None) -> Rules:
    """Put an operator's settings in force; everybody is judged anew at the next looks. Raises Invalid."""
    settings = check_settings(raw)
    rules = _freeze(settings, now=now, zone=zone)
    record("health.rules", f"health rules:{rules.pk}", now=now, actor=actor, detail=settings.model_dump(mode="json"))
    return rules


def settings_in_force() -> HealthSettings:
    """What the operator last set, or the defaults."""
    row = _latest()
    if row is None:
        return HealthSettings()
    return HealthSettings(weights=row.weights, bounds=row.declared, params=row.params, trend_weeks=row.trend_weeks)


def rules_in_force(now: datetime, *, zone: ZoneInfo) -> Rules:
    """The latest rules, or new ones: once each local month, and while few are measured, whenever half as many came."""
    row = _latest()
    if row is not None and not _outdated(row, now, zone):
        return read_rules(row)
    return _freeze(settings_in_force(), now=now, zone=zone)


def read_rules(row: HealthRules) -> Rules:
    """The rules of a row."""
    return _rules(
        HealthSettings(weights=row.weights, params=row.params, trend_weeks=row.trend_weeks),
        pk=row.pk,
        bounds=row.bounds,
    )


def _rules(settings: HealthSettings, *, pk: int | None, bounds: Mapping[str, Any]) -> Rules:
    weights = _weights(settings.weights)
    params = {metric.key: metric.Params.model_validate(settings.params.get(metric.key, {})) for metric in in_order()}
    found = {metric.key: _pair(bounds.get(metric.key, metric.bounds)) for metric in in_order()}
    measured = [metric for metric in in_order() if weights[metric.key] > 0 and metric.ready(params[metric.key])]
    return Rules(pk, weights, found, params, 7 * settings.trend_weeks, measured)


def _weights(given: Mapping[str, float]) -> dict[str, float]:
    return {metric.key: given.get(metric.key, metric.weight) for metric in in_order()}


def _pair(raw: Any) -> Bounds:
    low, high = raw
    return float(low), float(high)


def _latest() -> HealthRules | None:
    return HealthRules.objects.order_by("-computed_at", "-pk").first()


def _outdated(row: HealthRules, now: datetime, zone: ZoneInfo) -> bool:
    then, today = local_date(row.computed_at, zone), local_date(now, zone)
    if (then.year, then.month) < (today.year, today.month):
        return True
    if row.population >= SMALL:
        return False
    return _seen(now).count() * 2 > max(FEW, row.population * 3)


def _seen(now: datetime) -> QuerySet[Profile]:
    """Whoever may be measured and was seen lately."""
    people = Profile.objects.filter(merged_into__isnull=True, erased_at__isnull=True, no_profiling=False)
    return people.filter(last_seen_at__gte=now - SEEN)


def _freeze(settings: HealthSettings, *, now: datetime, zone: ZoneInfo) -> Rules:
    """Write a new version, with bounds as the population gives them now."""
    plain = _rules(settings, pk=None, bounds=settings.bounds)
    spread, people = _spread(plain, now=now, zone=zone)
    bounds = {key: list(bound) for key, bound in {**plain.bounds, **spread, **settings.bounds}.items()}
    row = HealthRules.objects.create(
        computed_at=now, weights=dict(settings.weights), params=dict(settings.params), bounds=bounds,
        declared={key: list(bound) for key, bound in settings.bounds.items()}, trend_weeks=settings.trend_weeks,
        population=people,
    )  # fmt: skip
    return read_rules(row)


def _spread(rules: Rules, *, now: datetime, zone: ZoneInfo) -> tuple[dict[str, Bounds], int]:
    """The 5th and 95th percentile of each metric, and how many people were measured.

    Of a large population a stable random share is measured, by pages of ids.
    """
    seen = _seen(now)
    share = min(1.0, SAMPLE / max(1, seen.count()))
    rows = seen.filter(bucket__lt=round(BUCKETS * share)) if share < 1 else seen
    values: dict[str, list[float]] = {metric.key: [] for metric in rules.measured}
    people, last = 0, 0
    while ids := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:PAGE]):
        people, last = people + len(ids), ids[-1]
        for measured in measure_page(ids, rules, now=now, zone=zone).values():
            for key, value in measured.now.items():
                if value is not None:
                    values[key].append(value)
    return {key: bound for key, found in values.items() if (bound := _percentiles(found))}, people


def _percentiles(values: list[float]) -> Bounds | None:
    """Bounds from enough values that differ, else None."""
    if len(values) < FEW:
        return None
    ordered = sorted(values)
    low, high = quantile(ordered, LOW), quantile(ordered, HIGH)
    return (low, high) if low < high else None
