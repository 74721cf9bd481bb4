"""What reports over days share: from and to in the workspace's zone, and one moment of the database for all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from common.clock import is_postgres
from common.params import Params
from common.periods import local_date, start_of_day, zone

DAYS = 30


def _plausible(day: date) -> date:
    if not 2000 <= day.year <= 2100:
        raise ValueError("a day between 2000 and 2100, please")
    return day


Day = Annotated[date, AfterValidator(_plausible)]


class PeriodParams(Params):
    """Days from `from` to `to`, both counted; by default the last 30 up to today."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: Day | None = Field(default=None, alias="from", description="First day, in the workspace's time zone")
    to: Day | None = Field(default=None, description="Last day, counted too; by default today")

    @model_validator(mode="after")
    def _in_order(self) -> PeriodParams:
        if self.from_ and self.to and self.from_ > self.to:
            raise ValueError("'from' lies after 'to'")
        return self


P = TypeVar("P", bound=PeriodParams)


def filled(params: P, now: datetime) -> P:
    """The parameters with both days said."""
    days = period(params, now)
    return params.model_copy(update={"from_": days.first, "to": days.last})


@dataclass(frozen=True)
class Period:
    """Local days `first` to `last` as instants: start ≤ at < end."""

    first: date
    last: date
    start: datetime
    end: datetime
    zone: ZoneInfo

    @property
    def notes(self) -> tuple[str, str]:
        return (
            f"The days are {self.first} to {self.last}, both counted, in the time zone {self.zone.key}.",
            f"统计 {self.first} 至 {self.last}（含首尾），时区为 {self.zone.key}。",
        )


def period(params: PeriodParams, now: datetime) -> Period:
    """The days asked for, in the workspace's zone."""
    tz = zone(settings.WORKSPACE_ZONE)
    last = params.to or max(local_date(now, tz), params.from_ or date.min)
    first = params.from_ or last - timedelta(days=DAYS - 1)
    return Period(first, last, start_of_day(first, tz), start_of_day(last + timedelta(days=1), tz), tz)


@contextmanager
def one_moment() -> Iterator[None]:
    """All statements inside see one state of the database, where the caller has not begun a transaction already."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        if is_postgres():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
