"""Numbers compared and stretches of time, as questions ask them: in SQL, and in English and Chinese."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from django.db.models import Q, QuerySet
from pydantic import Field

from common.text import say

Compare = Literal["at_least", "at_most", "exactly", "more_than", "less_than"]
Days = Annotated[float, Field(gt=0, le=3660, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=200)]

_SAID = {
    "at_least": ("at least {}", "至少 {}"),
    "at_most": ("at most {}", "至多 {}"),
    "exactly": ("exactly {}", "恰好 {}"),
    "more_than": ("more than {}", "多于 {}"),
    "less_than": ("less than {}", "少于 {}"),
}


def say_compare(op: str, number: object, language: str) -> str:
    """ "at least 3" or "至少 3"."""
    english, chinese = _SAID[op]
    return say(english.format(number), chinese.format(number), language)


def say_window(days: float | None, language: str) -> str:
    """ "in the last 30 days", or "ever"."""
    if days is None:
        return say("ever", "有史以来", language)
    span = say_days(days, language)
    return say("in the last day" if span == "1 day" else f"in the last {span}", f"最近 {span}内", language)


def say_days(days: float, language: str) -> str:
    """ "30 days", "1 day", or in hours what is less than a day and a whole number of them."""
    hours = round(days * 24, 6)
    if hours < 24 and hours == int(hours):
        return say("1 hour" if hours == 1 else f"{hours:g} hours", f"{hours:g} 小时", language)
    return say("1 day" if days == 1 else f"{days:g} days", f"{days:g} 天", language)


def within(rows: QuerySet[Any, Any], column: str, days: float | None, now: datetime) -> QuerySet[Any, Any]:
    """The rows whose time lies in (now - days, now]; all of them without `days`."""
    if days is None:
        return rows
    return rows.filter(**{f"{column}__gt": now - timedelta(days=days), f"{column}__lte": now})


def meets(name: str, op: str, number: float) -> Q:
    """An aggregate of that name compared with a number."""
    lookup = {"at_least": "gte", "at_most": "lte", "exactly": "exact", "more_than": "gt", "less_than": "lt"}[op]
    return Q(**{f"{name}__{lookup}": number})


def zero_passes(op: str, number: float) -> bool:
    """Whether a person without any row, who stands at 0, passes the comparison."""
    return {
        "at_least": number <= 0,
        "at_most": number >= 0,
        "exactly": number == 0,
        "more_than": number < 0,
        "less_than": number > 0,
    }[op]


OPPOSITE: dict[str, tuple[str, ...]] = {
    "at_least": ("less_than",),
    "at_most": ("more_than",),
    "more_than": ("at_most",),
    "less_than": ("at_least",),
    "exactly": ("less_than", "more_than"),
}


def opposite(name: str, op: str, number: float) -> Q:
    """The aggregate fails the comparison."""
    failed = Q()
    for other in OPPOSITE[op]:
        failed |= meets(name, other, number)
    return failed
