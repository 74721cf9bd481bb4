"""Words that several operators share; those that operators of other apps need too are in common.comparing."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from common import comparing
from common.comparing import Compare, Days, Text, meets, opposite, say_compare, say_days, say_window, zero_passes
from segments.rules.operators import At

__all__ = [
    "Compare", "Days", "Text", "meets", "opposite", "say_compare", "say_days", "say_window", "within", "zero_passes",
]  # fmt: skip


def within(rows: QuerySet[Any, Any], column: str, days: float | None, at: At) -> QuerySet[Any, Any]:
    """The rows whose time lies in (now - days, now]; all of them without `days`."""
    return comparing.within(rows, column, days, at.now)
