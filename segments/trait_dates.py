"""Days that are said of people: a typed column or a trait, read as the day it is where the person lives."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models.fields.json import KeyTransform

from common.periods import local_date
from segments.ingest.traits import NAMES
from segments.models import Profile

COLUMNS = frozenset({"birthday", "registered_at"})


def days_of(people: Collection[int], trait: str) -> dict[int, Any]:
    """What the trait says of each of these profiles, as it is stored; one statement."""
    column = NAMES.get(trait, trait)
    rows = Profile.objects.filter(pk__in=set(people))
    if column in COLUMNS:
        return dict(rows.values_list("pk", column))
    return dict(rows.annotate(said=KeyTransform(trait, "traits")).values_list("pk", "said"))


def day_of(said: Any, tz: ZoneInfo) -> date | None:
    """The day that a value names: a date, the local day of a moment, or ISO text of either; None for all else."""
    if isinstance(said, datetime):
        return local_date(said, tz) if said.tzinfo else said.date()
    if isinstance(said, date):
        return said
    if not isinstance(said, str) or len(said) < 10:
        return None
    try:
        return date.fromisoformat(said) if len(said) == 10 else day_of(datetime.fromisoformat(said), tz)
    except ValueError:
        return None


def anniversary(day: date, year: int, *, leap: str = "02-28") -> date:
    """The day in another year; 29 February falls on `leap` ("02-28" or "03-01") where there is none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, *map(int, leap.split("-")))


def next_anniversary(day: date, after: date, *, leap: str = "02-28") -> date:
    """The first anniversary that is not before `after`."""
    this = anniversary(day, after.year, leap=leap)
    return this if this >= after else anniversary(day, after.year + 1, leap=leap)


def shifted(day: date, days: int) -> date | None:
    """The day so many days later (or earlier); None off the edge of the calendar."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return None
