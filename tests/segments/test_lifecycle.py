"""The life cycle: the bare rule, and how a stage is kept from flapping."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from segments.lifecycle import (
    Rhythm,
    Standing,
    counted_quantile,
    judge,
    own_gap,
    quantile,
    rhythm_of,
    settle,
)
from segments.models.known import Stage

ZONE = ZoneInfo("Europe/Berlin")
DAY0 = date(2026, 1, 1)
USUAL = Rhythm(warn=20, churn=30, first_warn=40, first_churn=50)


def days(*numbers: int) -> list[date]:
    return [DAY0 + timedelta(days=number) for number in numbers]


def noon(number: int, hour: int = 12) -> datetime:
    """That hour on the wall of that day; the clocks go forward on day 87."""
    return (datetime(2026, 1, 1, hour, tzinfo=ZONE) + timedelta(days=number)).astimezone(UTC)


@pytest.mark.parametrize(
    ("today", "stage"),
    [(91, Stage.GROWING), (92, Stage.AT_RISK), (106, Stage.AT_RISK), (107, Stage.LAPSED), (110, Stage.LAPSED)],
)
def test_the_own_rhythm_from_four_order_days(today: int, stage: Stage) -> None:
    bought = days(0, 10, 25, 60)
    assert own_gap(bought) == 31
    assert judge(bought, *days(today), USUAL).stage == stage


@pytest.mark.parametrize(
    ("bought", "today", "stage"),
    [
        ((), 5, Stage.PROSPECT),
        ((0,), 40, Stage.NEWCOMER),
        ((0,), 41, Stage.AT_RISK),
        ((0,), 51, Stage.LAPSED),
        ((0, 0), 40, Stage.NEWCOMER),
        ((0, 0, 0), 40, Stage.GROWING),
        ((0, 10), 30, Stage.NEWCOMER),
        ((0, 10), 31, Stage.AT_RISK),
        ((0, 10, 12), 42, Stage.AT_RISK),
        ((0, 10, 12), 43, Stage.LAPSED),
        ((0, 10, 12), 12, Stage.GROWING),
        ((0, 1, 2, 3, 4, 5, 6), 6, Stage.GROWING),
        ((0, 1, 2, 3, 4, 5, 6, 7), 8, Stage.MATURE),
        ((0, 170, 340, 510), 690, Stage.AT_RISK),
        ((0, 170, 340, 510), 691, Stage.LAPSED),
    ],
)
def test_the_bare_rule(bought: tuple[int, ...], today: int, stage: Stage) -> None:
    assert judge(days(*bought), *days(today), USUAL).stage == stage


def test_a_better_stage_counts_at_once() -> None:
    before = Standing(Stage.NEWCOMER, noon(2))
    found = settle(before, days(0, 1, 2), now=noon(2, 13), zone=ZONE, rhythm=USUAL)
    assert (found.stage, found.since, found.won_back_until) == (Stage.GROWING, noon(2, 13), None)


def test_a_worse_stage_must_hold_at_two_midnights_however_often_we_look() -> None:
    bought, standing = days(0, 10, 25, 60), Standing(Stage.GROWING, noon(60))
    for hour in range(24):
        now = noon(92, 0) + timedelta(hours=hour)
        standing = settle(standing, bought, now=now, zone=ZONE, rhythm=USUAL)
        assert (standing.stage, standing.pending) == (Stage.GROWING, "at_risk")
        assert standing.pending_since == noon(92, 0)
    assert standing.changes_on == noon(93, 0)
    fallen = settle(standing, bought, now=noon(93, 0), zone=ZONE, rhythm=USUAL)
    assert (fallen.stage, fallen.since, fallen.pending) == (Stage.AT_RISK, noon(93, 0), "")
    assert fallen.reason == "silent_own:orders=4,silent=33,limit=31"
    assert (
        settle(Standing(Stage.GROWING, noon(60)), bought, now=noon(93, 9), zone=ZONE, rhythm=USUAL).stage == "at_risk"
    )


def test_after_a_long_sleep_the_stage_that_held_is_taken() -> None:
    bought = days(0, 10, 25, 60)
    found = settle(Standing(Stage.GROWING, noon(60)), bought, now=noon(107), zone=ZONE, rhythm=USUAL)
    assert (found.stage, found.pending) == (Stage.AT_RISK, "")
    again = settle(found, bought, now=noon(108, 1), zone=ZONE, rhythm=USUAL)
    assert (again.stage, again.pending, again.changes_on) == (Stage.AT_RISK, "lapsed", noon(108))
    assert settle(again, bought, now=noon(108), zone=ZONE, rhythm=USUAL).stage == Stage.LAPSED


def test_an_order_on_the_day_stops_the_fall() -> None:
    waiting = Standing(Stage.GROWING, noon(60), "at_risk", noon(92, 0))
    found = settle(waiting, days(0, 10, 25, 60, 92), now=noon(92, 18), zone=ZONE, rhythm=USUAL)
    assert (found.stage, found.since, found.pending) == (Stage.GROWING, noon(60), "")


def test_a_return_is_won_back_for_a_fortnight() -> None:
    lapsed = Standing(Stage.LAPSED, noon(50))
    back = settle(lapsed, days(0, 70), now=noon(70), zone=ZONE, rhythm=USUAL)
    assert (back.stage, back.won_back_until) == (Stage.NEWCOMER, noon(84))
    assert settle(back, days(0, 70), now=noon(83), zone=ZONE, rhythm=USUAL).won_back_until == noon(84)
    assert settle(back, days(0, 70), now=noon(84), zone=ZONE, rhythm=USUAL).won_back_until is None


def test_a_milder_rhythm_is_no_return() -> None:
    found = settle(Standing(Stage.LAPSED, noon(70)), days(0, 10), now=noon(75), zone=ZONE, rhythm=Rhythm(70, 80, 1, 2))
    assert (found.stage, found.won_back_until) == (Stage.NEWCOMER, None)


def test_looking_only_when_a_change_is_announced_misses_nothing() -> None:
    """Walking from one announced instant to the next finds the stages that looking every hour finds."""
    for bought in (days(0), days(0, 10, 12), days(0, 10, 25, 60), days(0, 1, 2, 3, 3, 3, 4, 5, 6)):
        start = noon((bought[-1] - DAY0).days)
        hourly, now, standing = [], start, settle(None, bought, now=start, zone=ZONE, rhythm=USUAL)
        while now < start + timedelta(days=200):
            now += timedelta(hours=1)
            after = settle(standing, bought, now=now, zone=ZONE, rhythm=USUAL)
            if after.stage != standing.stage:
                hourly.append((now, after.stage))
            standing = after
        announced, standing = [], settle(None, bought, now=start, zone=ZONE, rhythm=USUAL)
        while standing.changes_on is not None:
            now = standing.changes_on
            after = settle(standing, bought, now=now, zone=ZONE, rhythm=USUAL)
            assert after.changes_on is None or after.changes_on > now
            if after.stage != standing.stage:
                announced.append((now, after.stage))
            standing = after
        assert announced == hourly
        assert announced[-1][1] == Stage.LAPSED


def test_quantiles_are_numpys() -> None:
    values = [1, 1, 2, 3, 5, 8, 13, 21, 34]
    for fraction in (0.0, 0.1, 0.5, 0.8, 0.9, 1.0):
        expected = float(np.quantile(values, fraction))
        assert quantile(values, fraction) == pytest.approx(expected)
        assert counted_quantile(Counter(values), fraction) == pytest.approx(expected)


def test_few_gaps_leave_the_defaults() -> None:
    few, many = Counter({5: 29}), Counter({5: 20, 50: 20})
    assert rhythm_of(few, few) == Rhythm()
    assert rhythm_of(many, few) == Rhythm(50, 50, 60, 90)
