"""The arithmetic of experiments against published and independently computed figures."""

from __future__ import annotations

import itertools
import random

import pytest

from common.trials import (
    Sample,
    always_valid,
    newcombe,
    power_of,
    relative,
    sample_size,
    srm,
    two_proportions,
    welch,
    wilson,
    z_of,
)

near = pytest.approx


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(5, 1000, 0.0021375, 0.0116510), (1, 200, 0.0008832, 0.0277737), (300, 1000, 0.2724068, 0.3291239)],
)
def test_wilson(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == near((low, high), abs=1e-6)


def test_wilson_at_its_ends() -> None:
    assert wilson(0, 50)[0] == 0.0
    assert wilson(50, 50)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("counts", "z", "p", "interval"),
    [
        ((100, 1000, 130, 1000), 2.1027406, 0.0354885, (0.0020023, 0.0580705)),
        ((500, 10000, 560, 10000), 1.8937530, 0.0582578, (-0.0002127, 0.0122224)),
    ],
)
def test_two_proportions_and_newcombe(
    counts: tuple[int, int, int, int], z: float, p: float, interval: tuple[float, float]
) -> None:
    assert two_proportions(*counts) == near((z, p), abs=1e-6)
    assert newcombe(*counts) == near(interval, abs=1e-6)


def test_relative_lift_by_the_delta_method() -> None:
    found = relative(Sample.of_share(100, 1000), Sample.of_share(130, 1000))
    assert found is not None
    assert (found.value, found.error) == near((0.3, 0.1628496), abs=1e-6)
    assert found.interval == near((0.3 - z_of(0.95) * 0.1628496, 0.3 + z_of(0.95) * 0.1628496), abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "chi", "p"),
    [((821588, 815482), 22.77437, 1.82179e-6), ((600, 400), 40.0, 2.5396e-10), ((44000, 45000), None, 8.0228e-4)],
)
def test_srm(counts: tuple[int, int], chi: float | None, p: float) -> None:
    found = srm(counts, [1, 1])
    assert found is not None
    assert found[1] == near(p, rel=1e-4)
    assert chi is None or found[0] == near(chi, rel=1e-6)


def test_srm_of_unequal_and_of_three_arms() -> None:
    assert srm([900, 100], [0.9, 0.1]) == near((0.0, 1.0))
    three = srm([350, 330, 320], [1, 1, 1])
    assert three is not None
    assert three == near((1.4, 0.4965853), abs=1e-6)


@pytest.mark.parametrize(
    ("value", "error", "n", "half", "p"),
    [(0.03, 0.0142, 2000, 0.0443577, 0.374337), (0.03, 0.0071, 8000, 0.0216366, 0.00094296)],
)
def test_always_valid(value: float, error: float, n: int, half: float, p: float) -> None:
    found = always_valid(value, error, n, 5000)
    assert found is not None
    assert (found.interval[1] - found.interval[0]) / 2 == near(half, abs=1e-6)
    assert found.p == near(p, abs=1e-6)


def test_sample_sizes_as_r() -> None:
    assert power_of(50, 0.5, 0.75) == near(0.7401659, abs=1e-6)
    assert sample_size(0.5, 0.75, power=0.9) == near(76.7, abs=0.05)
    assert sample_size(0.20, 0.25) == near(1093.739, abs=1e-3)
    held_out = sample_size(0.02, 0.022, ratio=9)
    assert (held_out, held_out * 10) == near((45475.92, 454759.20), abs=0.01)


def test_welch_against_statsmodels() -> None:
    weights = pytest.importorskip("statsmodels.stats.weightstats")
    c, t = [10, 12, 9, 14, 11, 8, 13, 10], [12, 15, 11, 13, 16, 10, 14, 13]
    found = welch(*(Sample.of_sums(len(x), sum(x), sum(v * v for v in x)) for x in (c, t)))
    assert found is not None
    assert (found.value, found.error, found.p) == near((2.125, 1.0077822, 0.0534805), abs=1e-6)
    oracle = weights.CompareMeans.from_data(t, c)
    assert found.interval == near(oracle.tconfint_diff(usevar="unequal"), abs=1e-9)


def test_swapping_arms_negates_the_effect_and_keeps_p(rng: random.Random) -> None:
    for _ in range(200):
        n_c, n_t = rng.randrange(1, 500), rng.randrange(1, 500)
        k_c, k_t = rng.randrange(n_c + 1), rng.randrange(n_t + 1)
        one, two = two_proportions(k_c, n_c, k_t, n_t), two_proportions(k_t, n_t, k_c, n_c)
        assert (one is None) == (two is None)
        if one and two:
            assert (one[0], one[1]) == near((-two[0], two[1]))
        low, high = newcombe(k_c, n_c, k_t, n_t) or (0, 0)
        assert newcombe(k_t, n_t, k_c, n_c) == near((-high, -low))


def test_scaling_revenue_keeps_p() -> None:
    c, t = Sample.of_sums(40, 800, 30000), Sample.of_sums(50, 1300, 60000)
    one = welch(c, t)
    two = welch(*(Sample(s.n, s.mean * 100, s.variance * 10000) for s in (c, t)))
    assert one is not None
    assert two is not None
    assert one.p == near(two.p)
    assert two.value == near(one.value * 100)


def test_too_little_is_none_and_never_nan() -> None:
    for k_c, n_c, k_t, n_t in itertools.product((0, 1), (0, 1, 2), (0, 1), (0, 1, 2)):
        if k_c <= n_c and k_t <= n_t:
            for found in (two_proportions(k_c, n_c, k_t, n_t), newcombe(k_c, n_c, k_t, n_t)):
                assert found is None or all(x == x for x in found)
    same = Sample.of_sums(5, 50, 500)
    assert welch(same, same) is None
    assert welch(Sample.of_sums(1, 5, 25), Sample.of_sums(1, 6, 36)) is None
    assert relative(Sample.of_share(0, 10), Sample.of_share(5, 10)) is None
    assert srm([0, 0], [1, 1]) is None
    assert always_valid(0.1, 0.0, 100, 5000) is None


def test_an_a_a_test_looked_at_twenty_times(rng: random.Random) -> None:
    """Rate 0.1, 20 looks of 500 an arm: any-look rejection stays under 5 %; the naive test's is above 20 %."""
    import numpy

    draws = numpy.random.default_rng(rng.randrange(2**32))
    runs, looks, step = 4000, 20, 500
    steps = draws.binomial(step, 0.1, size=(runs, looks, 2)).cumsum(axis=1)
    naive = valid = 0
    for run in steps:
        seen = {"naive": False, "valid": False}
        for look, (k_c, k_t) in enumerate(run.tolist(), 1):
            n = step * look
            z = two_proportions(k_c, n, k_t, n)
            seen["naive"] |= z is not None and z[1] < 0.05
            c, t = Sample.of_share(k_c, n), Sample.of_share(k_t, n)
            sequence = always_valid(t.mean - c.mean, (c.error + t.error) ** 0.5, 2 * n, 5000)
            seen["valid"] |= sequence is not None and sequence.p is not None and sequence.p < 0.05
        naive, valid = naive + seen["naive"], valid + seen["valid"]
    assert valid / runs < 0.05
    assert naive / runs > 0.20
