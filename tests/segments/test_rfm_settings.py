"""What an operator may choose about RFM, and what is refused, all at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.models import AuditEntry
from common.params import Invalid
from segments.models import RfmEdges, Scores
from segments.rfm import compute_edges, latest_edges
from segments.rfm_settings import RfmSettings, choose_edges, edges_settings
from segments.scores import score_all, score_changed
from tests.people import NOW, make_order, make_profile
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)
UTC = ZoneInfo("UTC")
DAY = timedelta(days=1)
FIXED: dict[str, Any] = {
    "mode": "fixed", "recency": [100, 200, 300, 500], "frequency": [3, 4, 5, 8], "monetary": [250, 400, 500, 700],
    "window_days": 730,
}  # fmt: skip


def test_thresholds_score_as_computed_and_are_kept_by_later_renewals() -> None:
    people = []
    for silent, orders, money in ((205, 6, 472), (98, 7, 596), (140, 3, 340)):
        person = make_profile(email=f"d{silent}@example.com", now=NOW - 800 * DAY)
        for number in range(orders):
            first = money - orders + 1
            make_order(person, total=1 if number else first, at=NOW - silent * DAY - number * timedelta(minutes=1))
        people.append(person.pk)
    choose_edges(FIXED, now=NOW, zone=UTC)
    settle_log()
    score_changed(NOW)
    rows = {row.pk: (row.r, row.f, row.m) for row in Scores.objects.all()}
    assert [rows[pk] for pk in people] == [(3, 4, 3), (5, 4, 4), (4, 1, 2)]
    renewed = compute_edges(NOW + DAY, zone=UTC)
    assert (renewed.recency, renewed.window_days) == ([100, 200, 300, 500], 730)
    assert edges_settings() == RfmSettings(**FIXED)


def test_quadrants_cut_at_the_median_or_where_an_operator_says() -> None:
    """One who buys for a thousand times as much lifts the mean above everybody else, and leaves the median alone."""
    people = []
    for silent, orders, money in ((10, 1, 100), (20, 2, 200), (90, 3, 300), (95, 30, 300_000)):
        person = make_profile(email=f"o{silent}@example.com", now=NOW - 300 * DAY)
        for number in range(orders):
            make_order(person, total=money // orders, at=NOW - silent * DAY - number * timedelta(minutes=1))
        people.append(person.pk)
    ways: dict[str, dict[str, Any]] = {
        "mean": {}, "median": {"octants": "median"}, "fixed": {"octants": "fixed", "octants_at": [15, 2, 199]},
    }  # fmt: skip
    found, limits = {}, {}
    for way, chosen in ways.items():
        choose_edges(chosen, now=NOW, zone=UTC)
        settle_log()
        score_changed(NOW)
        rows = {row.pk: row.octant for row in Scores.objects.all()}
        found[way] = [rows[pk] for pk in people]
        limits[way] = compute_edges(NOW, zone=UTC).means
        assert edges_settings() == RfmSettings(**chosen)
    assert found == {
        "mean": ["common_growth", "common_growth", "common_win_back", "key_keep"],
        "median": ["common_growth", "common_growth", "key_keep", "key_keep"],
        "fixed": ["common_growth", "key_win_back", "key_keep", "key_keep"],
    }
    assert limits == {"mean": (53.75, 9.0, 75_150.0), "median": (55.0, 2.5, 250.0), "fixed": (15, 2, 199)}


def test_money_as_mean_and_a_shorter_window_score_everybody_anew() -> None:
    mei = make_profile(email="mei@example.com", now=NOW - 400 * DAY)
    for days, total in ((1, 100), (20, 300), (40, 5000)):
        make_order(mei, total=total, at=NOW - days * DAY)
    score_all(NOW)
    row = Scores.objects.get()
    assert (row.orders, row.spent) == (3, 5400)
    edges = choose_edges({"money": "mean", "window_days": 30}, now=NOW, zone=UTC)
    assert edges.means == (1, 2, 200)
    settle_log()
    assert score_changed(NOW)["everyone"] == 1
    row = Scores.objects.get()
    assert (row.orders, row.spent, row.edges_id) == (2, 400, edges.pk)
    assert latest_edges() == edges
    entry = AuditEntry.objects.get(action="rfm.edges")
    assert (entry.detail["money"], entry.detail["window_days"]) == ("mean", 30)


def test_orders_of_one_day_are_one_where_days_are_counted() -> None:
    mei = make_profile(email="mei@example.com", now=NOW - 90 * DAY)
    for days, hour in ((1, 0), (1, 1), (1, 2), (20, 0)):
        make_order(mei, total=100, at=NOW - days * DAY - timedelta(hours=hour))
    bo = make_profile(email="bo@example.com", now=NOW - 90 * DAY)
    for days in (2, 4, 6):
        make_order(bo, total=100, at=NOW - days * DAY)
    assert compute_edges(NOW, zone=UTC).means[1] == 3.5
    fixed = {**FIXED, "frequency": [1, 2, 3, 4], "counted": "days"}
    assert choose_edges(fixed, now=NOW, zone=UTC).means[1] == 2.5
    assert edges_settings().counted == "days"
    settle_log()
    score_changed(NOW)
    rows = {row.pk: (row.f, row.orders, row.spent) for row in Scores.objects.all()}
    assert rows == {mei.pk: (2, 4, 400), bo.pk: (3, 3, 300)}
    assert compute_edges(NOW + DAY, zone=UTC).counted == "days"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"window_days": 0}, "window_days"), ({"window_days": 4000}, "window_days"), ({"money": "max"}, "money"),
        ({"recency": [1, 2, 3]}, "recency"), ({"frequency": [1, 1, 2, 3]}, "frequency"),
        ({"monetary": [4, 3, 2, 1]}, "monetary"), ({"monetary": [-1, 3, 4, 5]}, "monetary.0"), ({"monetary": []}, ""),
        ({"mode": "quantile"}, ""), ({"luck": 1}, "luck"), ({"octants": "fixed"}, ""), ({"octants": "half"}, "octants"),
        ({"octants": "fixed", "octants_at": [1, 2]}, ""), ({"octants_at": [1, 2, 3]}, ""),
        ({"octants": "fixed", "octants_at": [1, -2, 3]}, "octants_at.1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(change: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        choose_edges(FIXED | change, now=NOW, zone=UTC)
    assert [problem.path for problem in caught.value.problems] == [path]
    assert RfmEdges.objects.count() == 0


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        choose_edges(FIXED | {"window_days": 0, "recency": [1], "money": "max"}, now=NOW, zone=UTC)
    assert {problem.path for problem in caught.value.problems} == {"window_days", "recency", "money"}
