"""So many a minute, shared by all processes: a token bucket in one column of one row, moved by conditional updates.

The column holds the moment up to which what was taken has filled the time (the generic cell rate algorithm, ATM Forum
TM 4.0, 1996): a moment in the past is an unused bucket, which counts for a minute at most; a moment in the future is
a debt. Whoever comes while there is no debt is let in whole, however much is taken at once, and the next wait until
it is paid off; so the mean is kept, and nothing is too large ever to pass.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet

BURST = timedelta(minutes=1)
NEVER = timedelta(minutes=5)  # when to ask again where nothing is let in


def take(row: QuerySet[Any], column: str, *, count: int, a_minute: int, now: datetime) -> timedelta:
    """Take `count` at the rate; returns how long to wait, which is nothing when they were taken."""
    if a_minute <= 0:
        return NEVER
    span, idle = BURST * count / a_minute, now - BURST
    unused = Q(**{column: None}) | Q(**{f"{column}__lt": idle})
    if row.filter(unused).update(**{column: idle + span}):
        return timedelta(0)
    filling = {f"{column}__gte": idle, f"{column}__lte": now}
    if row.filter(**filling).update(**{column: F(column) + span}):
        return timedelta(0)
    until = row.values_list(column, flat=True).first()
    return max(until - now, timedelta(0)) if until else timedelta(0)
