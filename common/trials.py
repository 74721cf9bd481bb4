"""The arithmetic of experiments: intervals, tests and sizes for two groups of people.

Standard library only, but for the t quantile of means (scipy, imported when asked for). Nothing here divides by
zero: where there is too little to say, the answer is None.

Wilson (1927); Newcombe (1998), method 10; Welch (1947); sample sizes as R's power.prop.test; the always-valid
interval is the asymptotic confidence sequence of Waudby-Smith et al. (2021) as GrowthBook computes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

NORMAL = NormalDist()
LEAST_PEOPLE = 8
SRM_WARNS, SRM_REFUSES = 1e-3, 1e-6
Interval = tuple[float, float]


def z_of(confidence: float) -> float:
    """The two-sided normal quantile: 0.95 gives 1.959963985."""
    return NORMAL.inv_cdf(1 - (1 - confidence) / 2)


def wilson(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share k/n, within [0, 1]; (0, 1) when n is 0."""
    if n <= 0:
        return 0.0, 1.0
    z, p = z_of(confidence), k / n
    d = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / d
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    low = 0.0 if k == 0 else max(0.0, centre - half)
    return low, 1.0 if k == n else min(1.0, centre + half)


def newcombe(k_c: int, n_c: int, k_t: int, n_t: int, *, confidence: float = 0.95) -> Interval | None:
    """The interval of p_t - p_c, from the Wilson bounds of both."""
    if not n_c or not n_t:
        return None
    p_c, p_t = k_c / n_c, k_t / n_t
    (l_c, u_c), (l_t, u_t) = wilson(k_c, n_c, confidence=confidence), wilson(k_t, n_t, confidence=confidence)
    delta = p_t - p_c
    return delta - math.hypot(p_t - l_t, u_c - p_c), delta + math.hypot(u_t - p_t, p_c - l_c)


def two_proportions(k_c: int, n_c: int, k_t: int, n_t: int) -> tuple[float, float] | None:
    """(z, two-sided p) of the pooled test of equal shares; None when nobody or everybody converted."""
    if not n_c or not n_t:
        return None
    pooled = (k_c + k_t) / (n_c + n_t)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_t))
    if not spread:
        return None
    z = (k_t / n_t - k_c / n_c) / spread
    return z, math.erfc(abs(z) / math.sqrt(2))


@dataclass(frozen=True)
class Sample:
    """A group's people, mean and variance (p(1-p) of shares, the n-1 sample variance of amounts)."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of_share(cls, k: int, n: int) -> Sample:
        p = k / n if n else 0.0
        return cls(n, p, p * (1 - p))

    @classmethod
    def of_sums(cls, n: int, total: float, squares: float) -> Sample:
        """From Σx and Σx²; variance 0 below two people."""
        mean = total / n if n else 0.0
        return cls(n, mean, max(0.0, (squares - n * mean * mean) / (n - 1)) if n > 1 else 0.0)

    @property
    def error(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.n if self.n else 0.0


@dataclass(frozen=True)
class Estimate:
    """A difference with its standard error and interval; `p` two-sided, None where it says nothing."""

    value: float
    error: float
    interval: Interval
    p: float | None = None


def relative(
    control: Sample, treated: Sample, *, confidence: float = 0.95, quantile: float | None = None
) -> Estimate | None:
    """Relative lift m_t/m_c - 1 by the delta method; None without people or with a control mean of 0."""
    if not control.n or not treated.n or not control.mean:
        return None
    lift = treated.mean / control.mean - 1
    error = math.sqrt(treated.error / control.mean**2 + control.error * treated.mean**2 / control.mean**4)
    half = (quantile or z_of(confidence)) * error
    return Estimate(lift, error, (lift - half, lift + half))


def welch(control: Sample, treated: Sample, *, confidence: float = 0.95) -> Estimate | None:
    """The difference of two means with Satterthwaite's degrees of freedom; None without two people or variance."""
    total = control.error + treated.error
    if control.n < 2 or treated.n < 2 or total <= 0:
        return None
    from scipy.stats import t

    df = freedom(control, treated)
    value, error = treated.mean - control.mean, math.sqrt(total)
    half = float(t.ppf(1 - (1 - confidence) / 2, df)) * error
    return Estimate(value, error, (value - half, value + half), float(2 * t.sf(abs(value) / error, df)))


def freedom(control: Sample, treated: Sample) -> float:
    """Satterthwaite's degrees of freedom."""
    c, t = control.error, treated.error
    return (c + t) ** 2 / (c * c / (control.n - 1) + t * t / (treated.n - 1))


def srm(counts: Sequence[int], weights: Sequence[float]) -> tuple[float, float] | None:
    """(χ², p) that the arms' sizes fit their weights; None for fewer than two weighted arms or nobody."""
    arms = [(count, weight) for count, weight in zip(counts, weights, strict=True) if weight > 0]
    total, scale = sum(count for count, _ in arms), sum(weight for _, weight in arms)
    if len(arms) < 2 or not total:
        return None
    chi = sum((count - total * weight / scale) ** 2 / (total * weight / scale) for count, weight in arms)
    if len(arms) == 2:
        return chi, math.erfc(math.sqrt(chi / 2))
    from scipy.stats import chi2

    return chi, float(chi2.sf(chi, len(arms) - 1))


def always_valid(value: float, error: float, n: int, planned: int, *, alpha: float = 0.05) -> Estimate | None:
    """The interval that holds at every look at once: `n` people so far of both groups, `planned` fixed at the start."""
    if n < 2 or planned < 1 or error <= 0:
        return None
    tail = -2 * math.log(alpha)
    rho2 = (tail + math.log(tail + 1)) / planned
    grown = n * rho2 + 1
    half = error * math.sqrt(n) * math.sqrt(2 * grown / (n * n * rho2) * math.log(math.sqrt(grown) / alpha))
    p = min(1.0, math.sqrt(grown) * math.exp(-rho2 * n * value * value / (2 * error * error * grown)))
    return Estimate(value, error, (value - half, value + half), p)


def sample_size(p1: float, p2: float, *, power: float = 0.8, alpha: float = 0.05, ratio: float = 1.0) -> float:
    """People in the first group, to see p1 against p2 (R's power.prop.test); `ratio` is second : first.

    Evan Miller's calculator puts 2·p1(1-p1) under the first root and differs by up to 6 %.
    """
    pooled = (p1 + ratio * p2) / (1 + ratio)
    a = NORMAL.inv_cdf(1 - alpha / 2) * math.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio))
    b = NORMAL.inv_cdf(power) * math.sqrt(p1 * (1 - p1) + p2 * (1 - p2) / ratio)
    return float(((a + b) / (p2 - p1)) ** 2)


def power_of(n: float, p1: float, p2: float, *, alpha: float = 0.05) -> float:
    """The chance to see p1 against p2 with n people in each group (R's power.prop.test, not strict)."""
    pooled = (p1 + p2) / 2
    a = math.sqrt(n) * abs(p1 - p2) - NORMAL.inv_cdf(1 - alpha / 2) * math.sqrt(2 * pooled * (1 - pooled))
    return NORMAL.cdf(a / math.sqrt(p1 * (1 - p1) + p2 * (1 - p2)))
