"""Stages, histories, names, missions and wallets as rules: their words, their errors, and where they stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.params import Invalid
from segments.growth.ledger import earn, spend
from segments.growth.points_due import expire_due
from segments.models import Scores
from segments.rules.compile import matching, reads_of
from segments.rules.explain import sentence
from segments.rules.operators import At, Drift
from segments.rules.parse import check_rule, parse_rule
from tests.people import NOW, make_profile

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)


def leaf(op: str, /, **params: Any) -> Any:
    return parse_rule({"op": op, "params": params})


def said(op: str, /, **params: Any) -> tuple[str, str]:
    rule = leaf(op, **params)
    return sentence(rule, "en"), sentence(rule, "zh-hans")


@pytest.mark.django_db
def test_time_in_a_stage_counts_midnights_of_the_workspace() -> None:
    mei = make_profile()
    since = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)  # 23:30 in Shanghai
    Scores.objects.create(profile=mei, stage="newcomer", stage_since=since, computed_at=since)

    def days(now: datetime) -> int:
        at = At(now, SHANGHAI)
        return sum(bool(matching(leaf("stage_time", days=n), [mei.pk], at)) for n in range(1, 5))

    assert [days(since), days(since + timedelta(minutes=29)), days(since + timedelta(minutes=30))] == [0, 0, 1]
    assert days(since + 2 * DAY) == 2
    assert not matching(leaf("stage_time", stages=["lapsed"], days=1), [mei.pk], At(since + 9 * DAY, SHANGHAI))
    assert reads_of(leaf("stage_time", days=1)).drift is Drift.DAILY


@pytest.mark.django_db
def test_points_that_expire_are_what_is_left_of_their_lots() -> None:
    mei = make_profile()
    earn(mei.pk, 100, key="a", reason="order", now=NOW, expires_at=NOW + 5 * DAY)
    earn(mei.pk, 50, key="b", reason="order", now=NOW, expires_at=NOW + 20 * DAY)
    spend(mei.pk, 30, key="c", reason="gift", now=NOW)

    def exactly(points: int, days: int, now: datetime = NOW) -> bool:
        rule = leaf("wallet", what="expiring", op="exactly", points=points, days=days)
        return bool(matching(rule, [mei.pk], At(now, SHANGHAI)))

    assert exactly(0, 4)
    assert exactly(70, 5)
    assert exactly(120, 20)
    assert expire_due(NOW + 5 * DAY) == 1
    assert exactly(0, 5, NOW + 5 * DAY)
    assert matching(leaf("wallet", points=150), [mei.pk], At(NOW, SHANGHAI)) == {mei.pk}


def test_they_are_said_in_both_languages() -> None:
    assert said("stage_time", stages=["at_risk", "lapsed"], days=3) == (
        "has been at risk or lapsed for at least 3 days",
        "处于休眠预警或流失阶段至少 3 天",
    )
    assert said("segment_history", segment="vip", how="left", days=7) == (
        "left the segment “vip” in the last 7 days",
        "最近 7 天内离开过人群“vip”",
    )
    assert said("identity", known_by="anonymous_only") == ("is anonymous", "是匿名访客")
    assert said("identity", known_by="phone") == ("has a phone number", "有手机号")
    assert said("mission", mission="five", days=30) == (
        "completed the mission “five” in the last 30 days",
        "最近 30 天内完成过任务“five”",
    )
    assert said("wallet", what="expiring", points=100, days=7) == (
        "has at least 100 points that expire within 7 days",
        "7 天内到期的积分至少 100",
    )


@pytest.mark.parametrize(
    ("op", "params", "problem"),
    [
        ("mission", {"mission": "m", "how": "progress", "days": 3}, "'progress' has no days"),
        ("wallet", {"what": "expiring", "points": 1}, "'expiring' needs days"),
        ("wallet", {"points": 1, "days": 3}, "'earned' has none"),
        ("stage_time", {"days": 0}, "greater than or equal to 1"),
        ("segment_history", {"segment": "a"}, "params.days"),
        ("identity", {"known_by": "fax"}, "known_by"),
    ],
)
def test_what_cannot_be_asked_is_refused(op: str, params: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        leaf(op, **params)


@pytest.mark.django_db
def test_unknown_names_are_found_before_saving() -> None:
    raw = [
        {"op": "mission", "params": {"mission": "none"}},
        {"op": "segment_history", "params": {"segment": "nowhere", "days": 1}},
    ]
    assert [str(problem) for problem in check_rule(parse_rule({"all": raw}))] == [
        "all.0.params: no mission has the key 'none'",
        "all.1.params: no segment has the key 'nowhere'",
    ]
