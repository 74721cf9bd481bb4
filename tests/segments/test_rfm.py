"""RFM: edges, scores, cells and octants as published and computed, and properties that must hold."""

from __future__ import annotations

import random
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from segments.models import RfmEdges
from segments.rfm import CELL_OF, Edges, compute_edges, next_day, octant_of, quantiles, score, score_person
from tests.people import NOW, make_order, make_profile

UTC = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("values", "edges", "scores"),
    [
        ([1, 1, 1, 2, 3, 4, 5, 8, 13, 21], [1, 2.6, 4.4, 9], {1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 8: 4, 13: 5, 21: 5}),
        ([1, 1, 1, 1, 1, 1, 1, 2, 3, 4], [1, 1, 1, 2.2], {1: 1, 2: 4, 3: 5, 4: 5}),
    ],
)
def test_edges_are_type_7_quantiles_and_ties_stay_together(
    values: list[float], edges: list[float], scores: dict[int, int]
) -> None:
    assert quantiles(values) == pytest.approx(edges)
    assert {value: score(value, quantiles(values)) for value in scores} == scores


@pytest.mark.parametrize(
    ("person", "expected"), [((205, 6, 472), (3, 4, 3)), ((98, 7, 596), (5, 4, 4)), ((140, 3, 340), (4, 1, 2))]
)
def test_fixed_thresholds(person: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    edges = Edges((100, 200, 300, 500), (3, 4, 5, 8), (250, 400, 500, 700))
    found = score_person(*person, edges)
    assert (found.r, found.f, found.m) == expected


def test_the_cells_are_a_partition_of_the_grid() -> None:
    assert len(CELL_OF) == 25
    named = ["11", "15", "22", "32", "33", "41", "43", "45", "51", "54"]
    assert [CELL_OF[grid] for grid in named] == [
        "lost", "cant_lose", "hibernating", "about_to_sleep", "need_attention", "promising", "potential_loyalist",
        "loyal", "new", "champions",
    ]  # fmt: skip


def test_the_octants() -> None:
    people = [(10, 6, 900), (20, 1, 800), (90, 5, 700), (120, 1, 100)]
    found = [octant_of(*person, (60, 3.25, 625)) for person in people]
    assert found == ["key_value", "key_growth", "key_keep", "common_win_back"]


def test_shifting_recency_and_stretching_money_keep_the_scores(rng: random.Random) -> None:
    people = [(rng.randint(0, 300), rng.randint(1, 12), rng.randint(1, 90_000)) for _ in range(200)]

    def scored(change_r: int, power: float) -> list[tuple[int | None, ...]]:
        moved = [(r + change_r, f, float(m) ** power) for r, f, m in people]
        columns = list(zip(*moved, strict=True))
        edges = Edges(*(quantiles(column) for column in columns))
        return [(s.r, s.f, s.m) for s in (score_person(*person, edges) for person in moved)]

    assert [row[:2] for row in scored(40, 1)] == [row[:2] for row in scored(0, 1)]
    same = sum(a == b for a, b in zip(scored(0, 3), scored(0, 1), strict=True))
    assert same >= 197  # an interpolated edge may fall on the other side of at most one neighbour each


def test_the_next_day_is_the_first_on_which_a_score_can_change() -> None:
    edges = Edges((3.0, 7.5, 20.0, 60.0), (1, 2, 3, 4), (1, 2, 3, 4), means=(10.0, 2.0, 50.0))
    last, first = date(2026, 3, 1), date(2025, 12, 1)
    days = [score_person((today - last).days, 2, 5, edges) for today in (last + timedelta(days=n) for n in range(90))]
    changes = [n for n in range(1, 90) if days[n] != days[n - 1]]
    found, today = [], last
    while (today := next_day(last, first, edges, today=today)) < last + timedelta(days=90):
        found.append((today - last).days)
    assert found == changes == [4, 8, 11, 21, 61]


@pytest.mark.django_db
def test_edges_are_frozen_from_orders_of_the_window_with_a_positive_net() -> None:
    for days, totals in ((1, [500]), (10, [100, 100]), (100, [50] * 3), (364, [1000]), (365, [9999]), (5, [0])):
        person = make_profile(email=f"d{days}@example.com")
        for total in totals:
            make_order(person, total=total, at=NOW - timedelta(days=days))
    edges = compute_edges(NOW, zone=UTC)
    row = RfmEdges.objects.get()
    assert row.population == 4
    assert edges.recency == pytest.approx(quantiles([1, 10, 100, 364]))
    assert edges.frequency == pytest.approx(quantiles([1, 2, 3, 1]))
    assert edges.monetary == pytest.approx(quantiles([500, 200, 150, 1000]))
    assert edges.means == pytest.approx((118.75, 1.75, 462.5))


@pytest.mark.django_db
def test_an_operators_thresholds_are_kept() -> None:
    RfmEdges.objects.create(
        computed_at=NOW - timedelta(days=1), mode="fixed", recency=[10, 20, 30, 40], frequency=[1, 2, 3, 4],
        monetary=[1, 2, 3, 4], money="mean",
    )  # fmt: skip
    mei = make_profile(email="mei@example.com")
    make_order(mei, total=100)
    make_order(mei, total=300)
    edges = compute_edges(NOW, zone=UTC)
    assert (edges.recency, edges.money, edges.means[2]) == ([10, 20, 30, 40], "mean", 200)
