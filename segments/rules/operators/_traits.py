"""Conditions on one trait: a typed column of Profile where there is one, a key of `traits` otherwise.

Letters count as they are written on every database: LIKE is not used, since SQLite's takes "a" for "A" and neither
takes "%" for itself. E-mail addresses are stored in small letters, so what they are compared with is made small too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from functools import reduce
from operator import or_
from zoneinfo import ZoneInfo

from django.db.models import F, Q, Value
from django.db.models.functions import Right, StrIndex
from django.db.models.lookups import Exact, GreaterThan

from common import jsonsql
from common.jsonsql import Scalar
from common.periods import start_of_day
from common.semijoin import Sql
from segments.rules.operators import _json

TEXTS = frozenset(
    {"email", "phone", "first_name", "last_name", "locale", "timezone", "country", "city", "gender"}
)  # fmt: skip
DATES = frozenset({"birthday"})
TIMES = frozenset({"registered_at", "first_seen_at", "last_seen_at"})
COLUMNS = TEXTS | DATES | TIMES
JSON = "traits"


def equals_any(trait: str, values: Sequence[Scalar]) -> Q:
    """The trait is one of the values."""
    if trait in TEXTS:
        return Q(**{f"{trait}__in": [_as_stored(trait, value) for value in values]})
    return jsonsql.equals_any(JSON, trait, values)


def contains(trait: str, value: Scalar) -> Q:
    """A text that contains the value, or a list that has it."""
    if trait in TEXTS:
        return Q(GreaterThan(_position(trait, value), 0))
    listed = jsonsql.has_element(JSON, trait, value)
    return listed | jsonsql.text(JSON, trait, value, start=False) if isinstance(value, str) else listed


def contains_some(trait: str, values: Sequence[Scalar], *, every: bool) -> Q:
    """A text that contains one (or `every` one) of the values, or a list that has it."""
    if trait not in TEXTS:
        return jsonsql.contains_some(JSON, trait, values, every=every)
    stored = [_as_stored(trait, value) for value in values]
    found = "NOT EXISTS (SELECT 1 FROM {} WHERE NOT {})" if every else "EXISTS (SELECT 1 FROM {} WHERE {})"
    postgres = found.format("unnest(%s::text[]) AS word", "(strpos({col}, word) > 0)")
    sqlite = found.format("json_each(%s) AS word", "(INSTR({col}, word.value) > 0)")
    return Q(Sql(trait, postgres=(postgres, [stored]), sqlite=(sqlite, [json.dumps(stored, ensure_ascii=False)])))


def starts(trait: str, value: str) -> Q:
    if trait in TEXTS:
        return Q(Exact(_position(trait, value), 1))
    return jsonsql.text(JSON, trait, value, start=True)


def ends(trait: str, value: str) -> Q:
    if trait in TEXTS:
        return Q(Exact(Right(F(trait), len(value)), Value(_as_stored(trait, value))))
    return _json.ends(JSON, trait, value)


def _position(trait: str, value: Scalar) -> StrIndex:
    """Where the value begins in the column, from 1; 0 if it is not there."""
    return StrIndex(F(trait), Value(_as_stored(trait, value)))


def _as_stored(trait: str, value: Scalar) -> str:
    return str(value).lower() if trait == "email" else str(value)


def is_set(trait: str) -> Q:
    if trait in TEXTS:
        return ~Q(**{trait: ""})
    if trait in COLUMNS:
        return Q(**{f"{trait}__isnull": False})
    return jsonsql.is_set(JSON, trait)


def number(trait: str, *, low: float | None = None, high: float | None = None, open_ends: bool = False) -> Q:
    """A number within inclusive bounds, or strictly inside them with `open_ends`."""
    found = Q()
    if low is not None:
        found &= jsonsql.number(JSON, trait, ">" if open_ends else ">=", low)
    if high is not None:
        found &= jsonsql.number(JSON, trait, "<" if open_ends else "<=", high)
    return found


def day_between(trait: str, zone: ZoneInfo, *, first: date | None = None, last: date | None = None) -> Q:
    """A date from `first` to `last`, both included: a time by the workspace's calendar, a text as it is written."""
    if trait in TIMES:
        found = Q(**{f"{trait}__isnull": False})
        if first is not None:
            found &= Q(**{f"{trait}__gte": start_of_day(first, zone)})
        if last is not None:
            found &= Q(**{f"{trait}__lt": start_of_day(last + timedelta(days=1), zone)})
        return found
    low, high = first or date.min, last or date.max
    if trait in DATES:
        return Q(**{f"{trait}__isnull": False, f"{trait}__gte": low, f"{trait}__lte": high})
    return jsonsql.day(JSON, trait, low=low.isoformat(), high=high.isoformat())


def yearly(trait: str, days: Sequence[date]) -> Q:
    """A date whose anniversary falls on one of the days; 29 February is kept on the 28th of other years."""
    wanted = {f"{day:%m-%d}" for day in days}
    wanted |= {"02-29" for day in days if (day.month, day.day) == (2, 28) and (day + timedelta(days=1)).month == 3}
    if trait not in DATES:
        return jsonsql.month_day(JSON, trait, sorted(wanted))
    pairs = [(int(text[:2]), int(text[3:])) for text in sorted(wanted)]
    each = [Q(**{f"{trait}__month": month, f"{trait}__day": day}) for month, day in pairs]
    return Q(**{f"{trait}__isnull": False}) & reduce(or_, each)
