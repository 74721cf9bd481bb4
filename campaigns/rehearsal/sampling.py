"""From a sample to everybody: totals with their error, for a simple random sample without replacement.

W. G. Cochran, Sampling Techniques, 3rd ed. 1977, chapter 2: N ȳ, and N √((1 − n/N) s²/n); 95 % by the normal law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959964


@dataclass(frozen=True)
class Total:
    """What was counted in the sample, what that makes of everybody, and between which bounds (95 %)."""

    sample: float
    estimate: float
    low: float
    high: float


def total(each: Sequence[float], *, sampled: int, population: int) -> Total:
    """The total over `population` people, of whom `sampled` were looked at and `each` had something (others nothing).

    The lower bound is never below what was counted. Raises ValueError when more are sampled than there are.
    """
    if not 0 <= len(each) <= sampled <= population:
        raise ValueError("a sample lies within its population")
    counted = math.fsum(each)
    if sampled < 2:
        return Total(counted, counted, counted, counted)
    mean = counted / sampled
    squares = math.fsum((x - mean) ** 2 for x in each) + (sampled - len(each)) * mean**2
    error = population * math.sqrt((1 - sampled / population) * squares / (sampled - 1) / sampled)
    estimate = population * mean
    return Total(counted, estimate, max(counted, estimate - Z * error), estimate + Z * error)
