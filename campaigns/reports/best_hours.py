"""Best hours: whether waiting for the hour at which each person reads brings more clicks than sending otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from campaigns.reports import Chart, Column, Report, Table, reports
from campaigns.reports._period import PeriodParams, filled, one_moment, period
from common.trials import LEAST_PEOPLE, SRM_REFUSES, Sample, newcombe, relative, srm
from messaging.timing import Group, Timed, timed

FEWEST_CLICKS = 5  # in each group; below, an interval of the relative difference says nothing
COLUMNS = (
    Column("channel", "Channel", "渠道"),
    Column("tag", "Topic or campaign", "主题或活动"),
    Column("waiting", "People, best hour", "最佳时段人数", "count"),
    Column("compared", "People, compared", "对照人数", "count"),
    Column("waiting_messages", "Messages, best hour", "最佳时段消息", "count"),
    Column("compared_messages", "Messages, compared", "对照消息", "count"),
    Column("waiting_share", "Clicked, best hour", "最佳时段点击率", "share"),
    Column("compared_share", "Clicked, compared", "对照点击率", "share"),
    Column("difference", "Difference", "差异", "share"),
    Column("interval", "95% interval", "95% 区间", "interval"),
    Column("relative", "Relative", "相对差异", "share"),
    Column("relative_interval", "95% interval", "95% 区间", "interval"),
    Column("srm", "SRM p", "SRM p"),
)
MEANING = (
    "Waiting for each person's hour helps where the interval of the difference lies above zero; where it holds zero,"
    " nobody can tell yet.",
    "差异区间整体大于零，说明等待最佳时段有效；区间含零，则尚无法判断。",
)
NOTES = (
    (
        "Counted are people who had clicked or opened in the channel in the 90 days before the period, whether or not"
        " their hour was then used; each once, however many messages. Machines' clicks are left out.",
        "统计期前 90 天内在该渠道有过点击或打开的人，无论其时段是否被采用；每人只计一次。机器点击不计。",
    ),
    (
        "A click counts within four days of the message being planned; later messages wait for the next look. The"
        " interval is Newcombe's and holds for one look, not for looking every day.",
        "消息排定后四天内的点击才计入；更晚的消息留待下次。区间为 Newcombe 区间，只对一次查看有效，不适用于每天查看。",
    ),
)


@reports.register("best-hours")
class BestHours(Report[PeriodParams]):
    key: ClassVar[str] = "best-hours"
    title: ClassVar[str] = "Best hours"
    title_zh: ClassVar[str] = "最佳发送时段"
    Params = PeriodParams

    def in_force(self, params: PeriodParams, now: datetime) -> PeriodParams:
        return filled(params, now)

    def run(self, params: PeriodParams, now: datetime) -> Table:
        days = period(params, now)
        with one_moment():
            found = timed(days.start, days.end, now=now)
        refused = [(one, why) for one in found if (why := _refusal(one))]
        hidden = {one.rule.pk for one, _why in refused}
        return Table(
            columns=COLUMNS,
            rows=[_row(one, shown=one.rule.pk not in hidden) for one in found],
            chart=Chart("bar", "channel", ["waiting_share", "compared_share"]),
            meaning=MEANING,
            notes=[days.notes, *NOTES],
            refusals=[_named(one, why) for one, why in refused] if found else [NO_RULE],
        )


NO_RULE = (
    "No rule makes messages wait for the best hour, so there is nothing to compare.",
    "没有启用最佳时段规则，因此无从比较。",
)


def _named(one: Timed, why: tuple[str, str]) -> tuple[str, str]:
    of = " ".join(filter(None, [one.channel, one.rule.tag]))
    return f"{of}: {why[0]}", f"{of}：{why[1]}"


def _refusal(one: Timed) -> tuple[str, str] | None:
    """Why a rule's difference is not shown."""
    if not one.rule.control:
        return "Nobody is compared: give the rule a compared group.", "没有对照组：请为规则设置对照比例。"
    if min(one.waiting.people, one.compared.people) < LEAST_PEOPLE:
        return f"A group has fewer than {LEAST_PEOPLE} people.", f"某组不足 {LEAST_PEOPLE} 人。"
    if min(one.waiting.clicked, one.compared.clicked) < FEWEST_CLICKS:
        return (
            f"A group has fewer than {FEWEST_CLICKS} people who clicked: too few to tell.",
            f"某组点击人数不足 {FEWEST_CLICKS} 人，无法判断。",
        )
    fit = _fit(one)
    if fit is not None and fit < SRM_REFUSES:
        return (
            f"The groups' sizes do not fit the rule (p = {fit:.1g}); was its share changed within the period?",
            f"各组人数与规则不符（p = {fit:.1g}）；期间是否改过对照比例？",
        )
    return None


def _fit(one: Timed) -> float | None:
    counts, share = [one.waiting.people, one.compared.people], one.rule.control
    found = srm(counts, [100 - share, share])
    return found[1] if found else None


def _row(one: Timed, *, shown: bool) -> dict[str, Any]:
    waiting, compared, fit = one.waiting, one.compared, _fit(one)
    row = {
        "channel": one.channel,
        "tag": one.rule.tag,
        "waiting": waiting.people,
        "compared": compared.people,
        "waiting_messages": waiting.messages,
        "compared_messages": compared.messages,
        "waiting_share": _share(waiting),
        "compared_share": _share(compared),
        "srm": "" if fit is None else f"{fit:.3g}",
    }
    return {**row, **(_difference(waiting, compared) if shown else {})}


def _difference(waiting: Group, compared: Group) -> dict[str, Any]:
    ratio = relative(
        Sample.of_share(compared.clicked, compared.people), Sample.of_share(waiting.clicked, waiting.people)
    )
    return {
        "difference": waiting.clicked / waiting.people - compared.clicked / compared.people,
        "interval": newcombe(compared.clicked, compared.people, waiting.clicked, waiting.people),
        "relative": ratio and ratio.value,
        "relative_interval": ratio and ratio.interval,
    }


def _share(group: Group) -> float | None:
    return group.clicked / group.people if group.people else None
