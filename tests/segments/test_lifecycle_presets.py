"""Stages by active days: the published rules, announced changes, and what a change of preset does."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from segments import scores
from segments.lifecycle import Rhythm, Rule, Standing, settle
from segments.models import Event, Profile, Scores, StageChange
from segments.models.known import Stage
from segments.rfm import compute_edges, latest_edges
from segments.scores import score_changed
from segments.stage_presets import UnknownPreset, preset_of, rule_for
from segments.stage_reasons import in_words
from tests.people import NOW, make_fact, make_order, make_profile
from tests.segments.refresh.settled import settle_log

UTC = ZoneInfo("UTC")
DAY = timedelta(days=1)
TODAY = NOW.date()
USUAL = Rhythm()


def rule(key: str, registered: int | None = 40) -> Rule:
    """The rule of somebody who registered so many days ago."""
    return rule_for(preset_of(key), None if registered is None else TODAY - registered * DAY)


def ago(*numbers: int) -> list[date]:
    return sorted(TODAY - number * DAY for number in numbers)


@pytest.mark.parametrize(
    ("active", "stage"),
    [
        (range(2, 10), Stage.MATURE), ((6, 10, 20), Stage.GROWING), (range(7, 15), Stage.AT_RISK),
        (range(6, 13), Stage.GROWING), (range(6, 14), Stage.MATURE), ((15, 16), Stage.LAPSED), ((14, 16), Stage.AT_RISK),
        ((15,), Stage.LAPSED), ((3,), Stage.NEWCOMER), ((3, 38), Stage.GROWING), ((), Stage.PROSPECT),
    ],
)  # fmt: skip
def test_content_for_somebody_registered_forty_days_ago(active: Any, stage: Stage) -> None:
    assert rule("content").judge(ago(*active), TODAY, USUAL).stage == stage


def test_the_first_fortnight_is_a_newcomers_unless_silent() -> None:
    assert rule("content", 14).judge(ago(*range(14)), TODAY, USUAL).stage == Stage.NEWCOMER
    assert rule("content", 15).judge(ago(*range(14)), TODAY, USUAL).stage == Stage.MATURE
    assert rule("content", 10).judge(ago(7, 9), TODAY, USUAL).stage == Stage.AT_RISK
    assert rule("content", None).judge(ago(0, 1), TODAY, USUAL).stage == Stage.GROWING


@pytest.mark.parametrize(
    ("active", "stage"),
    [
        ((31, 40, 50, 60), Stage.LAPSED),  # own P90 gap 10, one and a half of it is 15
        ((12, 22, 32, 42), Stage.AT_RISK), ((10, 20, 30, 40), Stage.GROWING),
        ((6, 7, 8, 9), Stage.GROWING), ((7, 8, 9, 10), Stage.AT_RISK),  # a rhythm of days is not held against anybody
        ((15, 16, 17, 18), Stage.LAPSED), ((50, 55), Stage.GROWING), ((60, 65), Stage.GROWING),
        ((61, 65), Stage.LAPSED), (range(12), Stage.MATURE), (range(11), Stage.GROWING),
    ],
)  # fmt: skip
def test_saas_by_the_own_rhythm(active: Any, stage: Stage) -> None:
    assert rule("saas", 200).judge(ago(*active), TODAY, USUAL).stage == stage


def test_the_populations_rhythm_serves_two_and_three_days_and_one() -> None:
    usual = Rhythm(warn=20, churn=30, first_warn=10, first_churn=16)
    for silent, stage in ((20, Stage.GROWING), (21, Stage.AT_RISK), (31, Stage.LAPSED)):
        assert rule("saas").judge(ago(silent, silent + 3), TODAY, usual).stage == stage
    for silent, stage in ((10, Stage.NEWCOMER), (11, Stage.AT_RISK), (17, Stage.LAPSED)):
        assert rule("saas").judge(ago(silent), TODAY, usual).stage == stage


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UnknownPreset, match="known: commerce, content, saas"):
        preset_of("club")


def test_why_is_told_in_both_languages() -> None:
    found = settle(None, ago(*range(7, 15)), now=NOW, zone=UTC, rhythm=USUAL, rule=rule("content"))
    assert found.reason == "quiet_usual:active=8,silent=7,limit=6"
    assert in_words(found.reason, "en") == "8 active days in 28, silent for 7 days, more than 6 by everybody's rhythm"
    assert in_words(found.reason, "zh-hans") == "28 天内活跃 8 天，已沉默 7 天，超过总体节奏的 6 天"
    now = settle(None, ago(0, 3), now=NOW, zone=UTC, rhythm=USUAL, rule=rule("content"))
    assert in_words(now.reason, "en") == "2 active days in 28, the last today"
    assert in_words(now.reason, "zh-hans") == "28 天内活跃 2 天，最近一天在今天"
    assert in_words("no_activity", "zh-hans") == "没有活动"


@pytest.mark.parametrize("key", ["content", "saas"])
def test_looking_only_when_a_change_is_announced_misses_nothing(key: str, rng: random.Random) -> None:
    for _ in range(5):
        acts, life = ago(*rng.sample(range(60), rng.randint(1, 25))), rule(key, rng.choice([3, 40, 90]))

        def look(before: Standing | None, now: datetime, acts: list[date] = acts, life: Rule = life) -> Standing:
            return settle(before, acts, now=now, zone=UTC, rhythm=USUAL, rule=life)

        hourly, now, standing = [], NOW, look(None, NOW)
        while now < NOW + 100 * DAY:
            now += timedelta(hours=3)
            after = look(standing, now)
            hourly += [(now, after.stage)] if after.stage != standing.stage else []
            standing = after
        announced, standing = [], look(None, NOW)
        while standing.changes_on is not None and standing.changes_on < NOW + 100 * DAY:
            now = standing.changes_on
            after = look(standing, now)
            announced += [(now, after.stage)] if after.stage != standing.stage else []
            standing = after
        assert announced == hourly


def test_a_day_that_leaves_the_window_is_announced_and_lowers_the_stage_after_two_midnights() -> None:
    acts, life = ago(0, *range(21, 28)), rule("content")
    standing = settle(None, acts, now=NOW, zone=UTC, rhythm=USUAL, rule=life)
    assert (standing.stage, standing.changes_on) == (Stage.MATURE, NOW.replace(hour=0) + DAY)
    waiting = settle(standing, acts, now=NOW.replace(hour=0) + DAY, zone=UTC, rhythm=USUAL, rule=life)
    assert (waiting.stage, waiting.pending) == (Stage.MATURE, "growing")
    fallen = settle(waiting, acts, now=NOW.replace(hour=0) + 2 * DAY, zone=UTC, rhythm=USUAL, rule=life)
    assert (fallen.stage, fallen.reason) == (Stage.GROWING, "active:active=6,silent=2")


def look(now: datetime = NOW) -> dict[str, int]:
    settle_log()
    return score_changed(now)


def stages() -> dict[str, str]:
    return {row.profile.email[:2]: row.stage for row in Scores.objects.select_related("profile")}


def member(email: str, *days: int, registered: int = 60, live: bool = True) -> Profile:
    person = make_profile(email=email, now=NOW - registered * DAY)
    for number in days:
        make_fact(person, "Article Read", at=NOW - number * DAY, live=live)
    return person


@pytest.mark.django_db(transaction=True)
def test_activity_moves_a_stage_and_silence_lets_it_fall(settings: Any) -> None:
    settings.STAGE_PRESET = "content"
    mei, bo = member("mei@example.com", *range(7)), member("bo@example.com", 401, registered=500)
    make_fact(bo, "identify")
    look()
    assert stages() == {"me": "growing", "bo": "lapsed"}
    make_fact(mei, "Article Read", at=NOW - 8 * DAY)
    look(NOW + timedelta(hours=1))
    assert stages()["me"] == "mature"
    for number in (6, 7, 8, 14, 15, 16):
        look(NOW + number * DAY)
    moves = StageChange.objects.filter(profile=mei).order_by("pk").values_list("before", "after", "at")
    assert list(moves) == [
        ("", "growing", NOW), ("growing", "mature", NOW + timedelta(hours=1)), ("mature", "at_risk", NOW + 8 * DAY),
        ("at_risk", "lapsed", NOW + 16 * DAY),
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_another_preset_judges_everybody_anew_and_triggers_nothing(settings: Any) -> None:
    shop, _ = member("shop@example.com"), member("reader@example.com", *range(8))
    make_order(shop, at=NOW - 30 * DAY)
    look()
    assert stages() == {"sh": "newcomer"}
    settings.STAGE_PRESET = "content"
    look(NOW + timedelta(hours=1))
    assert stages() == {"sh": "lapsed", "re": "mature"}
    told = Event.objects.filter(name="@stage_changed", profile=shop).order_by("pk")
    assert [(e.properties["after"], e.live) for e in told] == [("newcomer", True), ("lapsed", False)]
    settings.STAGE_PRESET = "commerce"
    look(NOW + timedelta(hours=2))
    assert stages() == {"sh": "newcomer", "re": "prospect"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["content", "saas"])
def test_looking_at_due_people_only_equals_scoring_everyone(key: str, settings: Any, rng: random.Random) -> None:
    settings.STAGE_PRESET = key
    people = [member(f"p{n}@example.com", *rng.sample(range(90), 5), registered=100) for n in range(6)]
    now = NOW
    for _ in range(8):
        now += rng.choice([timedelta(hours=5), DAY, 3 * DAY, 20 * DAY])
        for person in rng.sample(people, 2):
            make_fact(person, "Article Read", at=now - timedelta(hours=rng.randint(0, 60)))
            make_order(person, at=now - timedelta(hours=rng.randint(1, 60)))
        look(now)
        edges = latest_edges()
        assert edges is not None
        with transaction.atomic():
            assert scores.score_people([person.pk for person in people], now=now, edges=edges) == 0


@pytest.mark.django_db
def test_the_rhythm_of_a_preset_by_activity_is_that_of_activity() -> None:
    for number in range(40):
        member(f"p{number}@example.com", 5, 9, 15)
    edges = compute_edges(NOW, zone=UTC, preset="saas")
    assert (edges.preset, edges.rhythm) == ("saas", Rhythm(6, 6, 6, 6))
    assert compute_edges(NOW, zone=UTC).preset == "saas"
