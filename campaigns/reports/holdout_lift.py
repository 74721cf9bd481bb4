"""Holdout lift: what each journey caused, against the people it left alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from pydantic import Field

from campaigns.lift import Lift, lifts_of
from campaigns.models import Experiment
from campaigns.reports import Chart, Column, Report, Table, reports
from campaigns.reports._lift_words import lift_note, no_experiment
from campaigns.reports._period import one_moment
from common.params import Params
from common.trials import LEAST_PEOPLE, SRM_REFUSES


class LiftParams(Params):
    """One journey or all of them, and the window in which a goal counts."""

    journey: str = Field(default="", max_length=80, description="Key of a journey; empty for all")
    window: int | None = Field(
        default=None, ge=1, le=3650, description="Days after being assigned; by default the longest walk and the goal's"
    )


COLUMNS = (
    Column("journey", "Journey", "旅程"),
    Column("experiment", "Experiment", "实验"),
    Column("arm", "Arm", "分组"),
    Column("treated", "Treated", "触达组人数", "count"),
    Column("held_out", "Held out", "对照组人数", "count"),
    Column("treated_reached", "Treated reached", "触达组已达", "count"),
    Column("held_out_reached", "Held out, would be reached", "对照组本应触达", "count"),
    Column("treated_share", "Treated converted", "触达组转化率", "share"),
    Column("held_out_share", "Held out converted", "对照组转化率", "share"),
    Column("lift", "Lift", "提升", "share"),
    Column("lift_interval", "95% interval at this moment", "95% 区间（当次）", "interval"),
    Column("lift_always", "95% interval, always valid", "95% 区间（随时有效）", "interval"),
    Column("relative", "Relative lift", "相对提升", "share"),
    Column("relative_interval", "95% interval", "95% 区间", "interval"),
    Column("extra_conversions", "Extra conversions", "增量转化", "count"),
    Column("extra_revenue", "Extra revenue", "增量收入", "money"),
    Column("extra_revenue_low", "at least (95%)", "下限（95%）", "money"),
    Column("extra_revenue_high", "at most (95%)", "上限（95%）", "money"),
    Column("srm", "SRM p", "SRM p", "text"),
    Column("planned", "Planned people", "计划人数", "count"),
    Column("visible", "Smallest visible lift", "可检出最小提升", "share"),
    Column("days", "Days so far", "已运行天数", "count"),
)
MEANING = (
    "Everybody assigned counts, reached or not; a difference that the always-valid interval keeps from zero stands"
    " however often you look.",
    "所有被分组的人都计入，无论是否触达；随时有效区间不含零的差异，无论查看多少次都成立。",
)
NOTES = (
    (
        f"The lift is hidden when an arm has fewer than {LEAST_PEOPLE} people, or when the arms' sizes cannot come from"
        f" their weights (SRM p below {SRM_REFUSES:f}).",
        f"任一分组不足 {LEAST_PEOPLE} 人，或各组人数不可能出自分配比例（SRM p 低于 {SRM_REFUSES:f}）时，不显示提升。",
    ),
    (
        "Refunds within the window are taken off the revenue; its interval is Welch's, of the difference of the means.",
        "收入已扣除窗口内的退款；其区间为均值之差的 Welch 区间。",
    ),
)


@reports.register("holdout-lift")
class HoldoutLift(Report[LiftParams]):
    key: ClassVar[str] = "holdout-lift"
    title: ClassVar[str] = "Holdout lift"
    title_zh: ClassVar[str] = "对照组提升"
    Params = LiftParams

    def run(self, params: LiftParams, now: datetime) -> Table:
        rows = Experiment.objects.filter(kind=Experiment.Kind.HOLDOUT).order_by("journey", "-started_at", "pk")
        rows = rows.filter(journey=params.journey) if params.journey else rows
        window = timedelta(days=params.window) if params.window else None
        with one_moment():
            found = [one for experiment in rows for one in lifts_of(experiment, now, window=window)]
        return Table(
            columns=COLUMNS,
            rows=[_row(one) for one in found],
            chart=Chart("bar", "journey", ["treated_share", "held_out_share"]),
            meaning=MEANING,
            notes=[*NOTES, *map(lift_note, found)],
            refusals=_refusals(found, params.journey),
            currency=settings.CURRENCY,
        )


def _refusals(found: list[Lift], journey: str) -> list[tuple[str, str]]:
    if not found:
        return [no_experiment(journey)]
    return [
        (f"{one.experiment.key}: {one.refusal[0]}", f"{one.experiment.key}：{one.refusal[1]}")
        for one in found
        if one.refusal
    ]


def _row(one: Lift) -> dict[str, Any]:
    treated, control = one.treated, one.control
    money = one.extra_revenue
    return {
        "journey": one.experiment.journey,
        "experiment": one.experiment.key,
        "arm": treated.key,
        "treated": treated.people,
        "held_out": control.people,
        "treated_reached": treated.reached,
        "held_out_reached": control.reached,
        "treated_share": treated.share.mean if treated.people else None,
        "held_out_share": control.share.mean if control.people else None,
        "lift": one.absolute and one.absolute.value,
        "lift_interval": one.absolute and one.absolute.interval,
        "lift_always": one.sequence and one.sequence.interval,
        "relative": one.relative and one.relative.value,
        "relative_interval": one.relative and one.relative.interval,
        "extra_conversions": round(one.extra_conversions[0], 1) if one.extra_conversions else None,
        "extra_revenue": round(money[0]) if money else None,
        "extra_revenue_low": round(money[1][0]) if money else None,
        "extra_revenue_high": round(money[1][1]) if money else None,
        "srm": "" if one.fit is None else f"{one.fit:.3g}",
        "planned": one.experiment.planned_n,
        "visible": one.visible,
        "days": one.days,
    }
