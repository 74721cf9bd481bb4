"""Measures over rows of one person: sum, mean, minimum, maximum, number of different values."""

from __future__ import annotations

from typing import Any, Literal

from django.db.models import Avg, Count, FloatField, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Cast, Coalesce, Round

from common.semijoin import has_grouped
from common.text import say
from segments.rules.operators import At
from segments.rules.operators._words import meets, opposite, zero_passes

Measure = Literal["sum", "avg", "min", "max", "distinct"]
PLACES = 6  # both databases add in floating point, each in its own order
_SAID = {
    "sum": ("the sum of", "之和"),
    "avg": ("the average of", "平均值"),
    "min": ("the smallest", "最小值"),
    "max": ("the largest", "最大值"),
    "distinct": ("the number of different", "的不同取值数"),
}


def say_measure(measure: str, language: str) -> str:
    return say(*_SAID[measure], language)


def has_measured(rows: QuerySet[Any, Any], value: Any, measure: str, op: str, number: float, at: At) -> Q:
    """The measure of `value` over the person's rows passes the comparison; values that are NULL do not count."""
    counted = _of(value, measure)
    if nothing_passes(measure, op, number):
        return ~has_grouped(rows, at.among, test=opposite("measured", op, number), measured=counted)
    return has_grouped(rows, at.among, test=meets("measured", op, number), measured=counted)


def nothing_passes(measure: str, op: str, number: float) -> bool:
    """Whether somebody without any value passes: a sum and a count are then 0, the others do not exist."""
    return measure in ("sum", "distinct") and zero_passes(op, number)


def _of(value: Any, measure: str) -> Any:
    if measure == "distinct":
        return Cast(Count(value, distinct=True), FloatField())
    number = Cast(value, FloatField())
    found = {"sum": Sum, "avg": Avg, "min": Min, "max": Max}[measure](number)
    rounded = Round(found, precision=PLACES, output_field=FloatField())
    return Coalesce(rounded, 0.0, output_field=FloatField()) if measure == "sum" else rounded
