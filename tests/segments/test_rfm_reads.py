"""What cells are worth, what of it is at risk, and who moved between two instants, against an obvious count."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from segments.models import Scores
from segments.rfm_reads import movement, value_at_risk
from segments.score_moves import FIELDS, Move, Reason, tell_moves, write_moves
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
CELLS = ["", "champions", "loyal", "lost"]


def person(email: str, cell: str, spent: int, stage: str) -> None:
    Scores.objects.create(profile=make_profile(email=email), cell=cell, spent=spent, stage=stage, computed_at=NOW)


def test_the_money_of_a_cell_and_the_part_of_it_that_is_silent(django_assert_num_queries: Any) -> None:
    person("a@example.com", "champions", 500, "mature")
    person("b@example.com", "champions", 300, "at_risk")
    person("c@example.com", "champions", 90, "lapsed")
    person("d@example.com", "lost", 10, "lapsed")
    person("e@example.com", "", 0, "lapsed")
    with django_assert_num_queries(1):
        found = {row.cell: row for row in value_at_risk()}
    assert len(found) == 11
    best = found["champions"]
    assert (best.people, best.share, best.spent, best.people_at_risk, best.at_risk) == (3, 0.75, 890, 2, 390)
    assert (found["lost"].share, found["lost"].at_risk) == (0.25, 10)
    assert (found["new"].people, found["new"].share, found["new"].at_risk) == (0, 0.0, 0)


def test_movement_equals_counting_by_hand(rng: random.Random, django_assert_num_queries: Any) -> None:
    people = [make_profile(email=f"p{n}@example.com") for n in range(12)]
    cells: dict[int, list[str]] = {p.pk: [""] for p in people}
    blank = dict.fromkeys(FIELDS) | {"stage": "mature", "stage_next": "", "octant": "", "orders": 0, "spent": 0,
                                     "orders_ever": 0, "spent_ever": 0}  # fmt: skip
    old: dict[int, Any] = {}
    for day in range(1, 9):
        now = NOW + day * DAY
        for row in people:
            cell = rng.choice([cells[row.pk][-1], *CELLS])
            cells[row.pk].append(cell)
            new = blank | {"cell": cell}
            if new != old.get(row.pk):
                move = Move(row.pk, row.shard, old.get(row.pk), new, "")
                write_moves([move], now=now, edges=None)
                tell_moves([move], now=now, reason=Reason())
                old[row.pk] = new
    for first, last in ((0, 8), (2, 8), (3, 5), (7, 8), (4, 4)):
        by_hand = Counter((seen[first], seen[last]) for seen in cells.values())
        by_hand.pop(("", ""), None)
        until = None if last == 8 else NOW + last * DAY
        with django_assert_num_queries(2):
            found = movement(since=NOW + first * DAY, until=until)
        assert found.counts == dict(by_hand), (first, last)
    found = movement(since=NOW + 2 * DAY)
    for cell in CELLS[1:]:
        stays = sum(seen[2] == seen[8] == cell for seen in cells.values())
        assert found.stayed(cell) == stays
        assert found.entered(cell) == sum(seen[8] == cell for seen in cells.values()) - stays
        assert found.left(cell) == sum(seen[2] == cell for seen in cells.values()) - stays
