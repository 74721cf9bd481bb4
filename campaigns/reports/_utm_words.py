"""What the report of UTM conversions says about itself, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from campaigns.attribution import models
from campaigns.reports._lift import Lift
from campaigns.reports._period import Period
from common.money import format_money

Row = Mapping[str, Any]
MEANING = (
    "Messages by the day they were sent, with all later opens and clicks of people; conversions and revenue by the"
    " day they happened, shared among the touches before them.",
    "消息按发送日统计，含其后所有真人打开与点击；转化与收入按发生日统计，并分摊给此前的触点。",
)


def imbalance(sums: Row, total: Row) -> tuple[str, str]:
    """Why conversions and revenue are not shown."""
    figures = f"{sums['revenue']} ≠ {total['revenue']}, {sums['conversions']} ≠ {total['conversions']}"
    return (
        f"Conversions and revenue are hidden: credited + not credited is not the total ({figures}).",
        f"转化与收入已隐藏：已归因 + 未归因 与总数不符（{figures}）。",
    )


def refused(lifts: Mapping[str, Lift]) -> list[tuple[str, str]]:
    """Why some campaigns show no lift."""
    return [
        (f"No lift for {name}: {one.refusal[0]}", f"{name} 不显示提升：{one.refusal[1]}")
        for name, one in sorted(lifts.items())
        if one.refusal
    ]


def notes(
    key: str, span: Period, machine: int, left: Row, total: Row, lifts: Mapping[str, Lift]
) -> list[tuple[str, str]]:
    """All that must be printed with the figures: days, zone, model, windows, path, machines, balance, lift."""
    model = models.get(key)
    earned, rest, all_of_it = (
        format_money(minor, settings.CURRENCY)
        for minor in (total["revenue"] - left["revenue"], left["revenue"], total["revenue"])
    )
    said = [
        span.notes,
        (f"Model: {model.name}.", f"归因模型：{model.name_zh}。"),
        (
            "Windows, from the touch: a click has its goal's (5 days by default), a visit with UTM has 30 days.",
            "归因窗口：点击按目标窗口（默认 5 天），UTM 访问 30 天，自触点起算。",
        ),
        _path_note(),
        (f"Machine opens and clicks left out: {machine}.", f"已排除机器打开与点击：{machine}。"),
        (
            f"Credited {earned} + not credited {rest} = total {all_of_it}.",
            f"已归因 {earned} + 未归因 {rest} = 总计 {all_of_it}。",
        ),
    ]
    return [*said, *(_lift_note(name, one) for name, one in sorted(lifts.items()))]


def _path_note() -> tuple[str, str]:
    if settings.ATTRIBUTION_PATH == "exposure":
        return "Path: consecutive repeats of one link count once.", "路径：连续重复的同一触点只计一次。"
    return "Path: every touch counts.", "路径：每个触点都计入。"


def _lift_note(campaign: str, one: Lift) -> tuple[str, str]:
    """What stands behind a campaign's lift: people, fit of the arms, plan and days."""
    c, t = one.control, one.treated
    fit = "–" if one.fit is None else f"{one.fit:.3g}"
    planned, days, key = one.experiment.planned_n, one.days, one.experiment.key
    return (
        f"Lift of {campaign} ({key}): {t.converted} of {t.people} treated, {c.converted} of {c.people} held out,"
        f" within {one.window.days} days of being assigned; SRM p = {fit}; planned {planned}; {days} days so far.",
        f"{campaign} 的提升（{key}）：触达组 {t.people} 人转化 {t.converted}，对照组 {c.people} 人转化 {c.converted}，"
        f"窗口为分组后 {one.window.days} 天；SRM p = {fit}；计划 {planned} 人；已运行 {days} 天。",
    )
