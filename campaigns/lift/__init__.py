"""Lift: what an experiment's people did, arm by arm, and what may be said of the difference.

Intention to treat: everybody assigned counts, reached or not. A person converts by a goal fact of the journey's
campaign within the window after being assigned. The window is the longest walk of the journey and the goal's window
after it; it begins at the same moment and is as long in every arm, whatever anybody did. See docs/attribution.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, sqrt
from typing import Any

from django.db.models import (
    Count,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    FloatField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast, Coalesce

from campaigns.lift._walk import longest_walk
from campaigns.models import Arm, Assignment, Conversion, Experiment, Goal, Journey, JourneyVersion
from common.trials import (
    LEAST_PEOPLE,
    SRM_REFUSES,
    SRM_WARNS,
    Estimate,
    Sample,
    always_valid,
    newcombe,
    relative,
    srm,
    two_proportions,
    welch,
    z_of,
)
from messaging.models import Delivery
from segments.facts.names import ORDER_CANCELLED, ORDER_REFUNDED
from segments.models import Event

DAY = timedelta(days=1)
REVERSALS = (ORDER_REFUNDED, ORDER_CANCELLED)
Words = tuple[str, str]


@dataclass(frozen=True)
class ArmFigures:
    """One arm: people assigned, those reached by a message (ghosts: who would have been), those who converted,
    and their revenue in minor units, refunds within the window taken off."""

    key: str
    control: bool
    weight: float
    people: int
    reached: int
    converted: int
    revenue: Sample

    @property
    def share(self) -> Sample:
        return Sample.of_share(self.converted, self.people)


@dataclass(frozen=True)
class Lift:
    """Treated against control. `refusal` says why no difference is shown; then all estimates are None."""

    experiment: Experiment
    goal: Goal | None
    window: timedelta
    days: int
    still_open: int
    control: ArmFigures
    treated: ArmFigures
    fit: float | None
    refusal: Words | None
    absolute: Estimate | None = None
    relative: Estimate | None = None
    sequence: Estimate | None = None
    revenue: Estimate | None = None

    @property
    def suspicious(self) -> bool:
        """Whether the arms' sizes fit their weights badly enough to look for the cause."""
        return self.fit is not None and self.fit < SRM_WARNS

    @property
    def extra_conversions(self) -> tuple[float, tuple[float, float]] | None:
        """Conversions that the treated would not have made, with the interval."""
        return _times(self.absolute, self.treated.people) if self.absolute else None

    @property
    def extra_revenue(self) -> tuple[float, tuple[float, float]] | None:
        """Revenue (minor units) that the treated would not have brought, with the interval."""
        return _times(self.revenue, self.treated.people) if self.revenue else None

    @property
    def visible(self) -> float | None:
        """The smallest difference of shares that the planned number of people shows four times in five."""
        p, planned = self.control.share.mean, self.experiment.planned_n
        whole = self.control.weight + self.treated.weight
        parts = [planned * arm.weight / whole if whole else 0 for arm in (self.control, self.treated)]
        if not 0 < p < 1 or not all(parts):
            return None
        power = z_of(0.6)  # the one-sided quantile of 0.8
        return (z_of(0.95) + power) * sqrt(p * (1 - p) * sum(1 / part for part in parts))


def lift(experiment: Experiment | str, now: datetime, *, window: timedelta | None = None) -> Lift | None:
    """The first treated arm against the control; None while the experiment has fewer than two arms.

    `window` is the time after being assigned in which a goal counts; by default the longest walk of the journey and
    the goal's window after it. Raises Experiment.DoesNotExist for an unknown key.
    """
    row = experiment if isinstance(experiment, Experiment) else Experiment.objects.get(key=experiment)
    return next(iter(lifts_of(row, now, window=window)), None)


def lifts_of(experiment: Experiment, now: datetime, *, window: timedelta | None = None) -> list[Lift]:
    """Each treated arm against the control, in the window of `window_of` (or the one given)."""
    goal = goal_of(experiment)
    width = window or window_of(experiment, goal, now)
    arms = _figures(experiment, goal, width)
    control = next((arm for arm in arms if arm.control), arms[0] if arms else None)
    end = experiment.ended_at or now
    still_open = _people(experiment).filter(at__gt=now - width).count()
    days = max(0, (end - experiment.started_at).days)
    return [
        _compare(experiment, goal, control, arm, arms, width=width, days=days, still_open=still_open)
        for arm in arms
        if control is not None and arm is not control
    ]


def goal_of(experiment: Experiment) -> Goal | None:
    """The goal that the experiment is judged by: its metric, else its campaign's primary goal, else the first."""
    goals = list(Goal.objects.filter(campaign__journeys__key=experiment.journey).order_by("-primary", "pk"))
    named = [goal for goal in goals if goal.key == experiment.metric]
    return next(iter(named + goals), None)


def window_of(experiment: Experiment, goal: Goal | None, now: datetime) -> timedelta:
    """From being assigned to the end of the goal's window after the longest walk, in whole days: one for all arms.

    Of several versions that people walked under this experiment, the longest counts.
    """
    walks = [longest_walk(graph, experiment.node) for graph in _flows(experiment, now)]
    days = ceil(max(walks, default=timedelta(0)) / DAY)
    return timedelta(days=days + (goal.window_days if goal else 5))


def _flows(experiment: Experiment, now: datetime) -> list[Mapping[str, Any]]:
    """The flows that were live at some time of the experiment: the one it began with and those published since."""
    end = experiment.ended_at or now
    rows = JourneyVersion.objects.filter(journey__key=experiment.journey, published_at__lte=end).order_by("number")
    found: list[Mapping[str, Any]] = []
    for published, graph in rows.values_list("published_at", "graph"):
        found = [graph] if published <= experiment.started_at else [*found, graph]
    return found


def journeys_with_holdout(campaigns: Sequence[str] | None = None) -> QuerySet[Journey]:
    """Journeys that hold people out, of the campaigns with these UTM names (None: of all)."""
    rows = Journey.objects.filter(experiment__isnull=False).select_related("experiment", "campaign").order_by("key")
    return rows if campaigns is None else rows.filter(campaign__utm_campaign__in=campaigns)


def _compare(
    experiment: Experiment,
    goal: Goal | None,
    control: ArmFigures,
    treated: ArmFigures,
    arms: Sequence[ArmFigures],
    *,
    width: timedelta,
    days: int,
    still_open: int,
) -> Lift:
    fit = srm([arm.people for arm in arms], [arm.weight for arm in arms])
    p = fit[1] if fit else None
    plain = Lift(experiment, goal, width, days, still_open, control, treated, p, _refusal(goal, arms, p))
    return plain if plain.refusal else _with_estimates(plain)


def _with_estimates(plain: Lift) -> Lift:
    control, treated = plain.control, plain.treated
    c, t = control.share, treated.share
    interval = newcombe(control.converted, c.n, treated.converted, t.n)
    test = two_proportions(control.converted, c.n, treated.converted, t.n)
    error = sqrt(c.error + t.error)
    value = t.mean - c.mean
    return Lift(
        plain.experiment, plain.goal, plain.window, plain.days, plain.still_open, control, treated, plain.fit, None,
        absolute=Estimate(value, error, interval, test[1] if test else None) if interval else None,
        relative=relative(c, t),
        sequence=always_valid(value, error, c.n + t.n, plain.experiment.planned_n),
        revenue=welch(control.revenue, treated.revenue),
    )  # fmt: skip


def _refusal(goal: Goal | None, arms: Sequence[ArmFigures], fit: float | None) -> Words | None:
    if goal is None:
        return "The campaign has no goal to judge by.", "活动没有目标，无法评估。"
    if any(arm.people < LEAST_PEOPLE for arm in arms):
        return f"An arm has fewer than {LEAST_PEOPLE} people.", f"某个分组不足 {LEAST_PEOPLE} 人。"
    if fit is not None and fit < SRM_REFUSES:
        return (
            f"The arms' sizes do not fit their weights (p = {fit:.1g}): the draw or the counting is broken.",
            f"各组人数与分配比例不符（p = {fit:.1g}）：分组或统计有误。",
        )
    return None


def _people(experiment: Experiment) -> QuerySet[Assignment]:
    """Everybody assigned, but for those whom the universal holdout keeps from all journeys alike."""
    apart = Assignment.objects.filter(experiment__kind="universal", arm__control=True, profile=OuterRef("profile"))
    rows = Assignment.objects.filter(experiment=experiment)
    return rows if experiment.kind == Experiment.Kind.UNIVERSAL else rows.filter(~Exists(apart))


def _figures(experiment: Experiment, goal: Goal | None, width: timedelta) -> list[ArmFigures]:
    """One statement for all arms, however many people."""
    until = ExpressionWrapper(OuterRef("at") + Value(width), output_field=DateTimeField())
    after = Conversion.objects.filter(profile=OuterRef("profile"), at__gte=OuterRef("at"), at__lte=until)
    sales = after.filter(_is_goal(goal)) if goal else after.none()
    money = after.filter(Q(pk__in=sales.values("pk")) | Q(name__in=REVERSALS)) if goal else after.none()
    sums = money.order_by().values("profile").annotate(total=Sum("value")).values("total")
    message = Delivery.objects.filter(profile=OuterRef("profile"), journey=experiment.journey, sent_at__isnull=False)
    rows = (
        _people(experiment)
        .annotate(
            converted=Exists(sales),
            reached=Exists(message),
            revenue=Coalesce(Cast(Subquery(sums[:1]), FloatField()), 0.0),
        )
        .values("arm")
        .annotate(
            people=Count("pk"),
            n_reached=Count("pk", filter=Q(reached=True)),
            n_converted=Count("pk", filter=Q(converted=True)),
            total=Sum("revenue"),
            squares=Sum(F("revenue") * F("revenue")),
        )
        .order_by()
    )
    found = {row["arm"]: row for row in rows}
    return [_arm(arm, found.get(arm.pk, {})) for arm in experiment.arms.all()]


def _arm(arm: Arm, row: Mapping[str, Any]) -> ArmFigures:
    people = row.get("people", 0)
    revenue = Sample.of_sums(people, row.get("total") or 0.0, row.get("squares") or 0.0)
    reached, converted = row.get("n_reached", 0), row.get("n_converted", 0)
    return ArmFigures(arm.key, arm.control, arm.weight, people, reached, converted, revenue)


def _is_goal(goal: Goal) -> Q:
    """The conversions that are this goal: by name, and where it filters, by the fact's properties."""
    if not goal.filter:
        return Q(name=goal.fact)
    facts = Event.objects.filter(pk=OuterRef("fact"))
    for n, (name, wanted) in enumerate(goal.filter.items()):
        flat, deep = f"flat{n}", f"deep{n}"
        facts = facts.alias(**{flat: KeyTransform(name, "properties"), deep: _deep(name)})
        values = wanted if isinstance(wanted, list) else [wanted]
        one_of = Q()
        for value in values:
            one_of |= Q(**{flat: value}) | Q(**{deep: value})
        facts = facts.filter(one_of)
    return Q(Exists(facts), name=goal.fact)


def _deep(name: str) -> KeyTransform:
    """The property that a dotted name leads to."""
    first, *rest = name.split(".")
    found = KeyTransform(first, "properties")
    for part in rest:
        found = KeyTransform(part, found)
    return found


def _times(estimate: Estimate, people: int) -> tuple[float, tuple[float, float]]:
    low, high = estimate.interval
    return estimate.value * people, (low * people, high * people)
