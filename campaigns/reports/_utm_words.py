"""What the report of UTM conversions says about itself, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from campaigns.attribution import models
from campaigns.lift import Lift
from campaigns.reports._lift_words import NO_HOLDOUT, fit_words, plan_words, window_words
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
    money = [format_money(row["revenue"], settings.CURRENCY) for row in (sums, total)]
    figures = [f"{row['conversions']:.12g}" for row in (sums, total)]
    return (
        "Conversions and revenue are hidden, because what is credited and what is not do not add up to the total:"
        f" {money[0]} against {money[1]}, {figures[0]} conversions against {figures[1]}.",
        "转化与收入已隐藏，因为已归因与未归因之和不等于总数："
        f"收入 {money[0]}，总数 {money[1]}；转化 {figures[0]} 次，总数 {figures[1]} 次。",
    )


def refused(lifts: Mapping[str, Lift]) -> list[tuple[str, str]]:
    """Why some campaigns show no lift."""
    return [
        (f"No lift is shown for {name}: {one.refusal[0]}", f"{name} 不显示提升：{one.refusal[1]}")
        for name, one in sorted(lifts.items())
        if one.refusal
    ]


def notes(
    key: str, span: Period, machine: int, left: Row, total: Row, lifts: Mapping[str, Lift] | None
) -> list[tuple[str, str]]:
    """All that must be printed with the figures: days, zone, model, windows, path, machines, balance, lift.

    `lifts` is None where rows are not by campaign, so that none can stand beside them.
    """
    model = models.get(key)
    said = [
        span.notes,
        (f"Credit follows the model “{model.name}”.", f"归因采用“{model.name_zh}”模型。"),
        (
            "A click can earn credit within its goal's window (5 days by default), a visit with UTM within 30 days.",
            "点击可在其目标窗口内（默认 5 天）获得归因，带 UTM 的访问为 30 天。",
        ),
        _path_note(),
        _machine_note(machine),
        _balance_note(left, total),
    ]
    if lifts is None:
        return said
    return [*said, *([_lift_note(name, one) for name, one in sorted(lifts.items())] or [NO_HOLDOUT])]


def _path_note() -> tuple[str, str]:
    if settings.ATTRIBUTION_PATH == "exposure":
        return "Repeats of one link in a row count as one touch.", "连续重复的同一触点只计一次。"
    return "Every touch on the way counts.", "路径上的每个触点都计入。"


def _machine_note(machine: int) -> tuple[str, str]:
    if not machine:
        return "No machine opened or clicked anything.", "没有机器打开或点击。"
    english = "1 open or click by a machine is" if machine == 1 else f"{machine:,} opens and clicks by machines are"
    return f"{english} left out.", f"已排除 {machine:,} 次机器打开与点击。"


def _balance_note(left: Row, total: Row) -> tuple[str, str]:
    if not total["conversions"] and not total["revenue"]:
        return "Nobody converted in these days.", "这些日期内没有转化。"
    earned, rest, all_of_it = (
        format_money(minor, settings.CURRENCY)
        for minor in (total["revenue"] - left["revenue"], left["revenue"], total["revenue"])
    )
    return (
        f"Of {all_of_it} in all, {earned} is credited to touches and {rest} is not.",
        f"收入共 {all_of_it}，其中 {earned} 已归因，{rest} 未归因。",
    )


def _lift_note(campaign: str, one: Lift) -> tuple[str, str]:
    """What stands behind a campaign's lift: people, window, fit of the arms, plan and days."""
    c, t, key = one.control, one.treated, one.experiment.key
    within, fit, plan = window_words(one), fit_words(one), plan_words(one)
    return (
        f"Lift of {campaign} ({key}): {t.converted:,} of {t.people:,} treated and {c.converted:,} of {c.people:,} held"
        f" out converted {within[0]}. {fit[0]} {plan[0]}",
        f"{campaign} 的提升（{key}）：{within[1]}，触达组 {t.people:,} 人中 {t.converted:,} 人转化，"
        f"对照组 {c.people:,} 人中 {c.converted:,} 人转化。{fit[1]}{plan[1]}",
    )
