"""How many people moved between stages in a period."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from segments.models import StageChange
from segments.stage_reads import Flow, stage_flow
from tests.people import NOW, make_profile

DAY = timedelta(days=1)


@pytest.mark.django_db
def test_moves_of_a_period_in_the_order_of_the_life_cycle(django_assert_num_queries: Any) -> None:
    mei, bo = make_profile(email="mei@example.com"), make_profile(email="bo@example.com")
    moves = [
        (mei, 0, "", "newcomer"), (mei, 1, "newcomer", "at_risk"), (mei, 2, "at_risk", "newcomer"),
        (mei, 3, "newcomer", "at_risk"), (bo, 3, "newcomer", "at_risk"), (bo, 4, "at_risk", "lapsed"),
    ]  # fmt: skip
    for row, day, before, after in moves:
        StageChange.objects.create(profile=row, at=NOW + day * DAY, before=before, after=after, reason="ordered")
    with django_assert_num_queries(1):
        found = stage_flow(since=NOW, until=NOW + 3 * DAY)
    assert found == [Flow("newcomer", "at_risk", 3, 2), Flow("at_risk", "newcomer", 1, 1)]
    assert stage_flow(since=NOW - DAY, until=NOW) == [Flow("", "newcomer", 1, 1)]
    assert stage_flow(since=NOW + 4 * DAY, until=NOW + 9 * DAY) == []
