"""The arithmetic of health: computed vectors, missing parts, and bands that are not left for a trifle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from segments.health_bands import Held, Judged, band_of, part, reason_in_words, score_of, settle

ZONE = ZoneInfo("Europe/Berlin")
WEIGHTS = {"activity": 0.40, "adoption": 0.35, "service": 0.25}
BOUNDS = {"activity": (0.0, 20.0), "adoption": (0.0, 1.0), "service": (0.0, 100.0)}
START = datetime(2026, 3, 27, 9, tzinfo=UTC)  # the clocks go forward on the 29th


def at(day: int, hour: int = 10) -> datetime:
    return (datetime(2026, 3, 27, hour, tzinfo=ZONE) + timedelta(days=day)).astimezone(UTC)


def test_the_computed_vectors() -> None:
    values = {"activity": 12.0, "adoption": 3 / 8, "service": 72.0}
    assert [part(values[key], BOUNDS[key]) for key in values] == pytest.approx([60, 37.5, 72])
    assert score_of(values, WEIGHTS, BOUNDS) == Judged(55.125, 1.0)
    assert band_of(score_of(values, WEIGHTS, BOUNDS)) == "watch"
    assert score_of(values | {"service": None}, WEIGHTS, BOUNDS) == Judged(49.5, 0.75)


def test_below_half_of_the_weights_nothing_is_said() -> None:
    assert score_of({"activity": 20.0, "adoption": None}, WEIGHTS, BOUNDS) == Judged(None, 0.4)
    assert score_of({"adoption": 0.5, "service": 50.0}, {"adoption": 1, "service": 1, "x": 2}, BOUNDS).score == 50
    assert score_of({}, WEIGHTS, BOUNDS) == Judged(None, 0.0)
    assert band_of(Judged(None, 0.4)) == ""


def test_a_part_is_clamped_and_coinciding_bounds_divide_by_nothing() -> None:
    assert [part(value, (10, 20)) for value in (5, 10, 15, 20, 99)] == [0, 0, 50, 100, 100]
    assert [part(value, (3, 3)) for value in (2, 3, 4)] == [0, 100, 100]


def test_a_weight_of_nothing_counts_for_nothing() -> None:
    weights = WEIGHTS | {"service": 0.0}
    assert score_of({"activity": 20.0, "adoption": 1.0, "service": 0.0}, weights, BOUNDS) == Judged(100.0, 1.0)


@pytest.mark.parametrize(
    ("score", "trend", "band"),
    [
        (70.0, None, "healthy"), (69.999, None, "watch"), (40.0, None, "watch"), (39.999, None, "at_risk"),
        (90.0, -15.0, "at_risk"), (90.0, -14.999, "healthy"), (0.0, 50.0, "at_risk"),
    ],
)  # fmt: skip
def test_the_bare_bands(score: float, trend: float | None, band: str) -> None:
    assert band_of(Judged(score, 1.0, trend)) == band


@pytest.mark.parametrize(
    ("held", "score", "trend", "after"),
    [
        ("healthy", 67.001, None, "healthy"), ("healthy", 67.0, None, "watch"), ("healthy", 39.0, None, "at_risk"),
        ("watch", 37.001, None, "watch"), ("watch", 37.0, None, "at_risk"),
        ("watch", 72.999, None, "watch"), ("watch", 73.0, None, "healthy"),
        ("at_risk", 42.999, None, "at_risk"), ("at_risk", 43.0, None, "watch"), ("at_risk", 90.0, None, "healthy"),
        ("healthy", 80.0, -15.0, "at_risk"), ("at_risk", 80.0, -12.0, "at_risk"), ("at_risk", 80.0, -11.9, "healthy"),
        ("watch", None, None, ""), ("", 80.0, None, "healthy"), ("", 10.0, None, "at_risk"),
    ],
)  # fmt: skip
def test_a_band_is_left_at_once_only_three_points_past_its_edge(
    held: str, score: float | None, trend: float | None, after: str
) -> None:
    assert settle(Held(held, START), Judged(score, 1.0, trend), now=at(0), zone=ZONE).band == after


def test_or_when_three_days_have_passed_however_often_we_look() -> None:
    held = Held("healthy", START)
    for hour in range(0, 72, 6):
        held = settle(held, Judged(69.0, 1.0), now=at(0, 0) + timedelta(hours=hour), zone=ZONE)
        assert (held.band, held.pending) == ("healthy", "watch")
    assert held.pending_since == at(0, 0)
    assert settle(held, Judged(69.0, 1.0), now=at(2, 23), zone=ZONE).band == "healthy"
    assert settle(held, Judged(69.0, 1.0), now=at(3, 0), zone=ZONE) == Held("watch", at(3, 0), reason="score")
    back = settle(held, Judged(70.0, 1.0), now=at(2, 0), zone=ZONE)
    assert (back.band, back.pending, back.pending_since) == ("healthy", "", None)


def test_the_other_direction_starts_the_days_anew() -> None:
    low = settle(Held("watch", START), Judged(39.0, 1.0), now=at(0), zone=ZONE)
    assert (low.pending, low.pending_since) == ("at_risk", at(0, 0))
    high = settle(low, Judged(71.0, 1.0), now=at(2), zone=ZONE)
    assert (high.band, high.pending, high.pending_since) == ("watch", "healthy", at(2, 0))


def test_why_is_said_in_both_languages() -> None:
    fallen = settle(Held("healthy", START), Judged(80.0, 1.0, -20.0), now=at(0), zone=ZONE)
    assert (fallen.band, fallen.reason) == ("at_risk", "trend")
    for reason in ("score", "trend", "coverage", "rules"):
        assert reason_in_words(reason, "en") != reason_in_words(reason, "zh-hans")
    assert reason_in_words("trend", "zh-hans") == "分数下降 15 分以上"
