"""Health is kept for who changed and for whose windows moved; history and facts follow."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from common.params import Invalid
from segments import health_scores
from segments.facts.append import engine_source
from segments.health_rules import check_settings, choose_rules, rules_in_force, settings_in_force
from segments.health_scores import judge_all, judge_changed, judge_people
from segments.merge import merge
from segments.models import Event, Health, HealthChange, HealthRules, Profile
from tests.people import NOW, make_fact, make_profile
from tests.segments.health.test_metrics import UTC, known
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
ONLY = {"weights": {"activity": 1, "adoption": 0, "service": 0, "satisfaction": 0}}


def look(now: datetime = NOW) -> dict[str, int]:
    settle_log()
    done = judge_changed(now)
    settle_log()
    return done


def told(name: str = "@health_changed") -> list[tuple[int, dict[str, Any], bool]]:
    return [(e.profile_id, e.properties, e.live) for e in Event.objects.filter(name=name).order_by("id")]


def active(person: Profile, *days: int, live: bool = True) -> None:
    for number in days:
        make_fact(person, "Product Viewed", at=NOW - number * DAY, live=live)


def only_activity(now: datetime = NOW) -> None:
    choose_rules(ONLY, now=now, zone=UTC)


def test_a_band_falls_by_silence_alone_and_is_told() -> None:
    only_activity()
    mei = known()
    active(mei, *range(16, 0, -1))
    look()
    row = Health.objects.get()
    assert (row.score, row.band, row.coverage, row.parts) == (80.0, "healthy", 1.0, {"activity": 16})
    assert (row.trend, row.parts_before, row.next_change_at) == (65.0, {"activity": 3}, NOW.replace(hour=0) + DAY)
    for number in (1, 12, 13, 14, 15):
        look(NOW + number * DAY)
    fallen = {"before": "healthy", "after": "at_risk", "worse": True, "score": 65.0, "trend": -15.0, "reason": "trend"}
    assert told() == [(mei.pk, fallen, True)]
    assert [(c.at, c.before, c.after) for c in HealthChange.objects.all()] == [(NOW + 14 * DAY, "healthy", "at_risk")]
    assert Health.objects.get().score == 60
    look(NOW + 60 * DAY)
    row = Health.objects.get()
    assert (row.score, row.trend, row.band, row.next_change_at) == (0.0, 0.0, "at_risk", None)


def test_new_facts_lift_a_band_and_nothing_is_written_where_nothing_differs() -> None:
    only_activity()
    mei, bo = known(), known("bo@example.com")
    look()
    assert [row.band for row in Health.objects.all()] == ["at_risk", "at_risk"]
    assert look() == {"everyone": 0, "facts": 0, "silence": 0}
    active(mei, *range(9))
    assert look()["facts"] == 1
    assert [(pk, said["after"], said["worse"], live) for pk, said, live in told()] == [(mei.pk, "watch", False, True)]
    assert Health.objects.get(profile=bo).computed_at == NOW


def test_facts_from_before_the_first_look_are_seen_by_the_first_pass_alone() -> None:
    only_activity()
    mei = known()
    active(mei, *range(16))
    assert look() == {"everyone": 1, "facts": 0, "silence": 0}
    assert (Health.objects.get().band, told()) == ("healthy", [])
    make_fact(mei, "page")
    active(mei, 17)
    assert look()["facts"] == 1
    assert Health.objects.get().score == 85


def test_history_moves_a_band_and_triggers_nothing() -> None:
    only_activity()
    mei = known()
    look()
    active(mei, *range(20), live=False)
    look()
    assert [(said["after"], live) for _, said, live in told()] == [("healthy", False)]


def test_who_is_too_little_known_has_no_band_until_known_long_enough() -> None:
    only_activity()
    mei = make_profile(email="mei@example.com", now=NOW - 20 * DAY)
    active(mei, *range(10))
    look()
    row = Health.objects.get()
    assert (row.score, row.band, row.coverage, told()) == (None, "", 0.0, [])
    look(NOW + 7 * DAY)
    assert [(said["before"], said["after"], said["reason"], live) for _, said, live in told()] == [
        ("", "watch", "coverage", True)
    ]


def test_missing_parts_lower_the_coverage_and_not_the_score() -> None:
    mei = known()
    active(mei, *range(12))
    judge_all(NOW)
    row = Health.objects.get()
    assert (row.coverage, row.band) == (0.75, "watch")
    assert row.score == pytest.approx((0.40 * 60 + 0.35 * 100 / 3) / 0.75, abs=1e-3)


def test_new_rules_judge_everybody_anew_and_trigger_nothing() -> None:
    only_activity()
    mei, bo = known(), known("bo@example.com")
    active(mei, *range(15))
    look()
    choose_rules(ONLY | {"bounds": {"activity": [0, 28]}}, now=NOW + timedelta(hours=1), zone=UTC)
    assert look(NOW + timedelta(hours=1)) == {"everyone": 2, "facts": 0, "silence": 0}
    assert [(pk, said["before"], said["after"], said["reason"], live) for pk, said, live in told()] == [
        (mei.pk, "healthy", "watch", "rules", False)
    ]
    assert Health.objects.get(profile=bo).band == "at_risk"
    assert HealthRules.objects.latest("pk").bounds["activity"] == [0, 28]


def test_bounds_are_percentiles_of_the_people_seen_and_renewed_each_month() -> None:
    for number in range(101):
        person = known(f"p{number}@example.com")
        active(person, *range(number % 25))
    Profile.objects.update(last_seen_at=NOW)
    gone = known("gone@example.com")
    Profile.objects.filter(pk=gone.pk).update(last_seen_at=NOW - 91 * DAY)
    look()
    row = HealthRules.objects.get()
    assert (row.population, row.bounds["activity"]) == (101, [1.0, 23.0])
    assert row.bounds["service"] == [0.0, 100.0]
    look(NOW + 29 * DAY)
    assert HealthRules.objects.count() == 1
    look(NOW + 30 * DAY)  # the first of April
    assert HealthRules.objects.count() == 2
    choose_rules({"bounds": {"activity": [0, 10]}}, now=NOW + 31 * DAY, zone=UTC)
    assert rules_in_force(NOW + 90 * DAY, zone=UTC).bounds["activity"] == (0.0, 10.0)


def test_wrong_settings_are_told_all_at_once() -> None:
    wrong = {
        "weights": {"activity": 0, "adoption": 0, "service": 0, "satisfaction": 0, "luck": 1},
        "bounds": {"activity": [5, 5]},
        "params": {"service": {"days": -1}},
    }
    with pytest.raises(Invalid) as caught:
        check_settings(wrong)
    assert [problem.path for problem in caught.value.problems] == [
        "weights.luck", "bounds.activity", "weights", "params.service.days",
    ]  # fmt: skip
    with pytest.raises(Invalid, match=r"weights\.activity"):
        check_settings({"weights": {"activity": -1}})
    assert HealthRules.objects.count() == 0
    choose_rules({"weights": {"service": 0.5}, "trend_weeks": 4}, now=NOW, zone=UTC)
    assert (settings_in_force().weights, settings_in_force().trend_weeks) == ({"service": 0.5}, 4)


def test_who_asked_not_to_be_profiled_is_not_and_the_merged_have_none() -> None:
    only_activity()
    mei, gone = known(), make_profile(anonymous_id="a1", now=NOW - 400 * DAY)
    active(mei, *range(16))
    active(gone, *range(16, 20))
    look()
    assert Health.objects.get(profile=mei).score == 80
    merge(gone, mei, now=NOW, actor="test", reason="the same person", force=True)
    look()
    assert [(row.profile_id, row.score) for row in Health.objects.all()] == [(mei.pk, 100.0)]
    Profile.objects.filter(pk=mei.pk).update(no_profiling=True)
    make_fact(mei, "identify")
    look()
    assert [(row.score, row.band, row.parts) for row in Health.objects.all()] == [(None, "", {})]
    assert told()[-1][1]["after"] == ""
    Profile.objects.filter(pk=mei.pk).update(erased_at=NOW)
    make_fact(mei, "page")
    look()
    assert Health.objects.count() == 0


def test_a_batch_costs_the_same_statements_whatever_its_size() -> None:
    people = [known(f"p{number}@example.com") for number in range(20)]
    for person in people:
        active(person, 1, 2, 3)
    rules, used = rules_in_force(NOW, zone=UTC), []
    engine_source()
    for ids in ([people[0].pk, people[1].pk], [person.pk for person in people[2:]]):
        connection.force_debug_cursor = True
        before = len(connection.queries_log)
        with transaction.atomic():
            assert judge_people(ids, now=NOW, rules=rules) == len(ids)
        connection.force_debug_cursor = False
        used.append(len(connection.queries_log) - before)
    assert used[0] == used[1]


def test_looking_at_due_people_only_equals_judging_everyone(rng: random.Random) -> None:
    """After any steps of the clock and any facts, the rows are those that judging everybody would give."""
    people = [make_profile(email=f"p{n}@example.com", now=NOW - rng.randint(0, 90) * DAY) for n in range(8)]
    now = NOW
    for _ in range(12):
        now += rng.choice([timedelta(hours=5), DAY, 3 * DAY, 20 * DAY])
        for person in rng.sample(people, 3):
            name = rng.choice(["Product Viewed", "Order Completed", "Ticket Opened", "NPS Answered"])
            make_fact(
                person, name, at=now - timedelta(hours=rng.randint(0, 900)), ticket_id=1, score=rng.randint(0, 10)
            )
        look(now)
        rules = rules_in_force(now, zone=UTC)
        with transaction.atomic():
            late = health_scores.judge_people([person.pk for person in people], now=now, rules=rules)
        assert late == 0
