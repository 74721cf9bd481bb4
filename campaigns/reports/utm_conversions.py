"""UTM conversions: what was sent, clicked, bought and earned, by source, medium, campaign and content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum, TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from pydantic import Field, field_validator

from campaigns.attribution import models
from campaigns.lift import REVERSALS, Lift, journeys_with_holdout, lifts_of
from campaigns.models import Campaign, Conversion, Credit
from campaigns.reports import Chart, Column, Report, Table, reports
from campaigns.reports._period import Period, PeriodParams, filled, one_moment, period
from campaigns.reports._utm_words import MEANING, imbalance, notes, refused
from common.text import say, utm_value
from messaging.models import Click, Delivery

Dimension = Literal["source", "medium", "campaign", "content", "term"]
Group = tuple[str, ...]
Row = dict[str, Any]
BOUNCED = (Delivery.Reached.SOFT, Delivery.Reached.HARD)
LONGEST_WAIT = timedelta(days=120)  # no message is sent this long after it was planned
SUMS = ("sent", "delivered", "opens", "clicks", "conversions", "revenue", "unsubscribes")
TITLES = {
    "source": ("Source", "来源"),
    "medium": ("Medium", "媒介"),
    "campaign": ("Campaign", "活动"),
    "content": ("Content", "内容"),
    "term": ("Term", "字词"),
}
FIGURES = (
    Column("sent", "Sent", "发送", "count"),
    Column("delivered", "Delivered", "送达", "count"),
    Column("opens", "Human opens", "真人打开", "count"),
    Column("clicks", "Clicks", "点击", "count"),
    Column("conversions", "Conversions", "转化", "count"),
    Column("revenue", "Revenue", "收入", "money"),
    Column("unsubscribes", "Unsubscribes", "退订", "count"),
)
LIFT = (
    Column("lift", "Lift against the holdout", "对照组提升", "share"),
    Column("lift_interval", "95% interval, always valid", "95% 区间（随时有效）", "interval"),
)


class UtmParams(PeriodParams):
    """Days, an attribution model, and what to group by."""

    model: str = Field(default="last", description="Attribution model")
    by: tuple[Dimension, ...] = Field(
        default=("source", "medium", "campaign"), description="What to group by, in order"
    )

    @field_validator("by", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """ "source,campaign" and ["source", "campaign"] are the same."""
        parts = [value] if isinstance(value, str) else value
        if not isinstance(parts, Iterable):
            return value
        return [word.strip() for part in parts for word in str(part).split(",") if word.strip()]

    @field_validator("by")
    @classmethod
    def _something(cls, value: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
        if not value:
            raise ValueError("group by at least one of " + ", ".join(TITLES))
        return tuple(dict.fromkeys(value))

    @field_validator("model")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in models:
            raise ValueError(f"no model '{value}' (known: {', '.join(models.keys())})")
        return value


@reports.register("utm-conversions")
class UtmConversions(Report[UtmParams]):
    key: ClassVar[str] = "utm-conversions"
    title: ClassVar[str] = "UTM conversions"
    title_zh: ClassVar[str] = "UTM 转化"
    Params = UtmParams
    words: ClassVar[Mapping[str, tuple[str, str]]] = TITLES

    def in_force(self, params: UtmParams, now: datetime) -> UtmParams:
        return filled(params, now)

    def run(self, params: UtmParams, now: datetime) -> Table:
        span = period(params, now)
        with one_moment():
            rows = _merge(params.by, _messages(params.by, span), _credited(params, span))
            left, total = _uncredited(params, span), _total(span)
            machine = Click.objects.filter(machine=True, at__gte=span.start, at__lt=span.end).count()
            lifts = _lifts(rows, now) if "campaign" in params.by else {}
        sums = {name: sum(row[name] for row in rows) + left.get(name, 0) for name in SUMS}
        balance = sums["revenue"] == total["revenue"] and abs(sums["conversions"] - total["conversions"]) < 0.001
        shown = _with_lift(rows, lifts) if "campaign" in params.by else rows
        shown = [*shown, {**_label(params.by), **left}] if left["conversions"] or left["revenue"] else shown
        hidden = [] if balance else [imbalance(sums, total)]
        return Table(
            columns=[*(Column(name, *TITLES[name]) for name in params.by), *FIGURES, *(LIFT if lifts else ())],
            rows=shown if balance else [_without_credit(row) for row in shown],
            total={**sums, **total} if balance else _without_credit(sums),
            chart=Chart("bar", params.by[-1], ["revenue"]) if balance else None,
            meaning=MEANING,
            notes=notes(params.model, span, machine, left, total, lifts if "campaign" in params.by else None),
            refusals=[*hidden, *refused(lifts)],
            currency=settings.CURRENCY,
        )


def _messages(by: Sequence[Dimension], span: Period) -> Mapping[Group, Row]:
    """Accepted messages per UTM group of their links; ghosts are none. Walks the index (campaign, planned_at)."""
    campaigns = ["", *Campaign.objects.values_list("key", flat=True)]
    rows = Delivery.objects.filter(
        campaign__in=campaigns,
        planned_at__gte=span.start - LONGEST_WAIT,
        planned_at__lt=span.end,
        sent_at__gte=span.start,
        sent_at__lt=span.end,
        state=Delivery.State.ACCEPTED,
        ghost=False,
    )
    groups = (
        rows.annotate(
            **{f"by_{name}": Coalesce(KT(f"utm__utm_{name}"), Value(""), output_field=TextField()) for name in by}
        )
        .values_list(*(f"by_{name}" for name in by))
        .annotate(
            n_sent=Count("pk"),
            n_delivered=Count("pk", filter=~Q(reached__in=BOUNCED)),
            n_opens=Count("pk", filter=Q(opened_at__isnull=False)),
            n_clicks=Count("pk", filter=Q(clicked_at__isnull=False)),
            n_unsubscribes=Count("pk", filter=Q(reached=Delivery.Reached.UNSUBSCRIBED)),
        )
        .order_by()
    )
    names = ("sent", "delivered", "opens", "clicks", "unsubscribes")
    return _sum_up(
        (tuple(map(utm_value, row[: len(by)])), dict(zip(names, row[len(by) :], strict=True))) for row in groups
    )


def _conversions(span: Period) -> QuerySet[Conversion]:
    return Conversion.objects.filter(at__gte=span.start, at__lt=span.end)


def _credited(params: UtmParams, span: Period) -> Mapping[Group, Row]:
    """Fractional conversions and revenue per UTM group of the touches that earned them."""
    names = [f"touch__{name}" for name in params.by]
    rows = Credit.objects.filter(model=params.model, conversion__at__gte=span.start, conversion__at__lt=span.end)
    sales = ~Q(conversion__name__in=REVERSALS)
    groups = (
        rows.values_list(*names).annotate(conversions=Sum("weight", filter=sales), revenue=Sum("amount")).order_by()
    )
    size = len(names)
    return _sum_up((row[:size], {"conversions": row[size] or 0.0, "revenue": row[size + 1]}) for row in groups)


def _uncredited(params: UtmParams, span: Period) -> Row:
    """What no touch earned under the model."""
    credit = Credit.objects.filter(conversion=OuterRef("pk"), model=params.model)
    rows = _conversions(span).filter(~Exists(credit))
    return _count(rows)


def _total(span: Period) -> Row:
    return _count(_conversions(span))


def _count(rows: QuerySet[Conversion]) -> Row:
    found = rows.aggregate(conversions=Count("pk", filter=~Q(name__in=REVERSALS)), revenue=Sum("value"))
    return {"conversions": found["conversions"], "revenue": found["revenue"] or 0}


def _sum_up(groups: Iterable[tuple[Group, Row]]) -> Mapping[Group, Row]:
    """Add groups whose values differ only before normalising."""
    found: dict[Group, Row] = defaultdict(lambda: defaultdict(int))
    for group, figures in groups:
        for name, value in figures.items():
            found[group][name] += value
    return found


def _merge(by: Sequence[Dimension], *parts: Mapping[Group, Row]) -> list[Row]:
    """One row per group, the richest first; figures that a part does not have are 0."""
    rows = []
    for group in dict.fromkeys(key for part in parts for key in part):
        row: Row = dict.fromkeys(SUMS, 0)
        for part in parts:
            row |= part.get(group, {})
        row["conversions"] = round(row["conversions"], 6)
        names: Row = dict(zip(by, group, strict=True))
        rows.append(names | row)
    return sorted(
        rows, key=lambda row: (-row["revenue"], -row["conversions"], -row["sent"], *(row[name] for name in by))
    )


def _lifts(rows: Sequence[Row], now: datetime) -> Mapping[str, Lift]:
    """Per UTM campaign the lift of its journey with the most people assigned."""
    names = sorted({row["campaign"] for row in rows} - {""})
    found: dict[str, Lift] = {}
    for journey in journeys_with_holdout(names):
        if journey.experiment is None:
            continue
        for one in lifts_of(journey.experiment, now):
            name = journey.campaign.utm_campaign
            if name not in found or _people(found[name]) < _people(one):
                found[name] = one
    return found


def _people(one: Lift) -> int:
    return one.control.people + one.treated.people


def _with_lift(rows: Sequence[Row], lifts: Mapping[str, Lift]) -> list[Row]:
    found = []
    for row in rows:
        one = lifts.get(row["campaign"])
        absolute = one.absolute if one else None
        sequence = one.sequence if one else None
        found.append(
            {**row, "lift": absolute and absolute.value, "lift_interval": sequence and sequence.interval}
            if lifts
            else row
        )
    return found


def _label(by: Sequence[Dimension]) -> Row:
    """The names of the row of what nobody earned."""
    return {**dict.fromkeys(by, ""), by[0]: say("(not credited)", "（未归因）"), **dict.fromkeys(SUMS, 0)}


def _without_credit(row: Row) -> Row:
    return {**row, "conversions": None, "revenue": None}
