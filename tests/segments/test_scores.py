"""Scores are kept for who changed and for whose silence passed a boundary; history and facts follow."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction

from segments import scores
from segments.models import Event, Order, Profile, RfmEdges, Scores, StageChange
from segments.rfm import Choices, compute_edges
from segments.score_stale import stale_page
from segments.scores import score_all, score_changed
from segments.stage_reasons import in_words
from tests.people import NOW, make_fact, make_order, make_profile
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
UTC = ZoneInfo("UTC")


def look(now: datetime = NOW) -> dict[str, int]:
    settle_log()
    return score_changed(now)


def told(name: str = "@stage_changed") -> list[tuple[int, dict[str, Any], bool]]:
    return [(e.profile_id, e.properties, e.live) for e in Event.objects.filter(name=name).order_by("id")]


def shopper(email: str, *days: int, live: bool = True, total: int = 1000) -> Profile:
    """Somebody who ordered so many days before NOW."""
    person = make_profile(email=email, now=NOW - 400 * DAY)
    for number in days:
        make_order(person, at=NOW - number * DAY, total=total, live=live)
    return person


def test_a_first_order_is_told_and_silence_alone_goes_on_telling() -> None:
    mei = make_profile(email="mei@example.com")
    make_fact(mei, "identify")
    look()
    assert Scores.objects.get().stage == "prospect"
    assert told() == []
    make_order(mei, at=NOW)
    look(NOW + timedelta(minutes=5))
    look(NOW + timedelta(minutes=6))  # the edges of a base so small follow its growth
    row = Scores.objects.get()
    assert (row.stage, row.orders, row.spent, row.r, row.cell) == ("newcomer", 1, 1000, 5, "new")
    for number in (1, 30, 59, 60, 61, 62, 75, 90, 91, 92, 93):
        look(NOW + number * DAY)
    assert [said for _, said, _ in told()] == [
        {"before": "prospect", "after": "newcomer", "reason": "ordered", "orders": 1, "silent": 0},
        {"before": "newcomer", "after": "at_risk", "reason": "silent_usual", "orders": 1, "silent": 62, "limit": 60},
        {"before": "at_risk", "after": "lapsed", "reason": "silent_usual", "orders": 1, "silent": 92, "limit": 90},
    ]
    assert all(live for _, _, live in told())
    assert [(c.before, c.after, in_words(c.reason, "en")) for c in StageChange.objects.order_by("id")] == [
        ("prospect", "newcomer", "1 order, the last today"),
        ("newcomer", "at_risk", "1 order, silent for 62 days, more than 60 by everybody's rhythm"),
        ("at_risk", "lapsed", "1 order, silent for 92 days, more than 90 by everybody's rhythm"),
    ]


def test_a_return_is_won_back_and_the_flag_is_let_go() -> None:
    gone = shopper("gone@example.com", 300)
    look()
    assert Scores.objects.get().stage == "lapsed"
    make_order(gone, at=NOW)
    look(NOW + timedelta(minutes=1))
    row = Scores.objects.get()
    assert (row.stage, row.won_back_until) == ("newcomer", NOW + timedelta(minutes=1) + 14 * DAY)
    look(NOW + 15 * DAY)
    assert Scores.objects.get().won_back_until is None
    assert told()[-1] == (gone.pk, {"won_back": False}, True)


def test_history_scores_everyone_and_triggers_nothing() -> None:
    shopper("old@example.com", 100, 90, 80, live=False)
    shopper("new@example.com", 3)
    assert score_all(NOW) == 2
    assert [live for _, _, live in told()] == [False, True]
    assert {live for _, _, live in told("@rfm_changed")} == {False, True}
    assert score_all(NOW) == 0
    assert len(told()) == 2


def test_an_import_of_history_for_a_known_person_triggers_nothing() -> None:
    mei = shopper("mei@example.com", 3)
    look()
    for number in (20, 40, 60):
        make_order(mei, at=NOW - number * DAY, live=False)
    look()
    assert [(said["after"], live) for _, said, live in told()] == [("newcomer", True), ("growing", False)]


def test_a_cancelled_order_counts_no_more_and_an_order_ahead_comes_due() -> None:
    mei = shopper("mei@example.com", 2, 1)
    make_order(mei, at=NOW + timedelta(hours=3), total=500)
    look()
    row = Scores.objects.get()
    assert (row.orders, row.spent, row.orders_ever, row.next_change_at) == (2, 2000, 2, NOW + timedelta(hours=3))
    look(NOW + timedelta(hours=3))
    row = Scores.objects.get()
    assert (row.orders, row.spent, row.stage) == (3, 2500, "growing")
    Order.objects.filter(placed_at=NOW - DAY).update(state="cancelled")
    make_fact(mei, "Order Cancelled", at=NOW)
    look(NOW + timedelta(hours=4))
    row = Scores.objects.get()
    assert (row.orders, row.spent, row.stage, row.stage_next) == (2, 1500, "growing", "newcomer")


def test_edges_are_renewed_once_each_local_day(settings: Any) -> None:
    settings.WORKSPACE_ZONE = "Asia/Shanghai"
    shopper("a@example.com", 9)
    look()
    look(NOW + timedelta(hours=3))
    assert RfmEdges.objects.count() == 1
    look(NOW.replace(hour=16))  # midnight in Shanghai
    assert RfmEdges.objects.count() == 2
    shopper("b@example.com", 9)
    look(NOW.replace(hour=17))  # half as many people again: the edges of a small base follow its growth
    look(NOW.replace(hour=17))
    assert RfmEdges.objects.count() == 3
    look(NOW.replace(hour=18))
    assert (RfmEdges.objects.count(), RfmEdges.objects.latest("pk").population) == (3, 2)


def test_nothing_is_written_where_nothing_differs() -> None:
    people = [shopper(f"p{n}@example.com", n, n + 20) for n in range(1, 8)]
    look()
    before = list(Scores.objects.order_by("pk").values())
    look()
    assert score_all(NOW) == 0
    assert list(Scores.objects.order_by("pk").values()) == before
    assert len(before) == len(people)


def test_who_asked_not_to_be_profiled_is_not() -> None:
    mei = shopper("mei@example.com", 30, 20, 10, 1)
    Profile.objects.update(no_profiling=True)
    look()
    row = Scores.objects.get(profile=mei)
    assert (row.stage, row.cell, row.orders, row.spent) == ("prospect", "", 0, 0)
    assert told() == []


def test_merged_people_fall_out_of_the_queue_of_the_silent() -> None:
    mei = shopper("mei@example.com", 30)
    look()
    Profile.objects.filter(pk=mei.pk).update(erased_at=NOW)
    assert look(NOW + 200 * DAY)["silence"] == 0
    assert Scores.objects.get().next_change_at is None


def test_a_batch_costs_the_same_statements_whatever_its_size() -> None:
    for number in range(20):
        shopper(f"p{number}@example.com", 5, 9)
    look()
    edges = scores.latest_edges()
    assert edges is not None
    used = []
    for ids in (Scores.objects.values_list("pk", flat=True)[:2], Scores.objects.values_list("pk", flat=True)):
        connection.force_debug_cursor = True
        before = len(connection.queries_log)
        with transaction.atomic():
            assert scores.score_people(list(ids), now=NOW + 100 * DAY, edges=edges) == len(ids)
        connection.force_debug_cursor = False
        used.append(len(connection.queries_log) - before)
        Scores.objects.update(r=None, stage="mature", stage_since=NOW)
    assert used[0] == used[1]


def test_looking_at_due_people_only_equals_scoring_everyone(rng: Any) -> None:
    """After any steps of the clock and any orders, the rows are those that scoring everybody would give."""
    people = [shopper(f"p{n}@example.com", *rng.sample(range(1, 300), rng.randint(1, 6))) for n in range(12)]
    look()
    now = NOW
    for _ in range(12):
        now += rng.choice([timedelta(hours=5), DAY, 3 * DAY, 20 * DAY])
        for person in rng.sample(people, 2):
            make_order(person, at=now - timedelta(hours=rng.randint(1, 60)), total=rng.randint(100, 9000))
        look(now)
        edges = scores.latest_edges()
        assert edges is not None
        with transaction.atomic():
            late = scores.score_people([person.pk for person in people], now=now, edges=edges)
        assert late == 0


def test_the_pass_finds_everybody_whom_new_edges_change_and_nobody_else(rng: random.Random) -> None:
    people = [shopper(f"p{n}@example.com", *rng.sample(range(1, 400), rng.randint(1, 6))) for n in range(25)]
    score_all(NOW)
    now, moved = NOW, 0
    for _ in range(8):
        now += rng.choice([timedelta(hours=3), DAY, 6 * DAY])
        choices = Choices(money=rng.choice(["sum", "sum", "mean"]), counted=rng.choice(["orders", "orders", "days"]))
        edges = compute_edges(now, zone=UTC, choices=choices)
        page = stale_page(0, now=now, zone=UTC, edges=edges, limit=100)
        assert page.last == people[-1].pk
        with transaction.atomic():
            others = [person.pk for person in people if person.pk not in page.stale]
            assert scores.score_people(others, now=now, edges=edges) == 0
            moved += scores.score_people(page.stale, now=now, edges=edges)
    assert 0 < moved < 25 * 8
    assert stale_page(people[-1].pk, now=now, zone=UTC, edges=edges, limit=100).last is None


def test_the_pass_notices_what_was_changed_behind_its_back() -> None:
    mei, bo = shopper("mei@example.com", 30, 3), shopper("bo@example.com", 30, 3)
    score_all(NOW)
    Order.objects.filter(profile=mei).update(net_reporting=7)
    Scores.objects.filter(profile=bo).delete()
    assert stale_page(0, now=NOW, zone=UTC, edges=compute_edges(NOW, zone=UTC), limit=10).stale == [mei.pk, bo.pk]


def test_a_pass_that_changes_nothing_costs_the_same_statements_whatever_its_size() -> None:
    used = []
    for group in (2, 20):
        for number in range(group):
            shopper(f"p{group}-{number}@example.com", 5, 9)
        score_all(NOW)
        edges = compute_edges(NOW, zone=UTC)
        connection.force_debug_cursor = True
        before = len(connection.queries_log)
        assert stale_page(0, now=NOW, zone=UTC, edges=edges, limit=100).stale == []
        connection.force_debug_cursor = False
        used.append(len(connection.queries_log) - before)
    assert used == [4, 4]
