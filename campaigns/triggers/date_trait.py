"""Enter on a day that is said of the person: a birthday, a renewal, so many days before or after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Literal, Self

from django.conf import settings
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform
from pydantic import Field, model_validator

from campaigns.triggers import Member, Trigger, triggers
from campaigns.triggers._local import FIRST, closes, moment_of, opens, wall_of
from campaigns.triggers._segment import missing
from common.params import Params
from common.periods import local_date, resolve, zone
from common.text import say
from segments.ingest.traits import NAMES
from segments.models import Membership, Profile
from segments.trait_dates import COLUMNS, anniversary, day_of


class DateTraitParams(Params):
    """The day of `trait` ("birthday", or any trait that holds a date), moved by `offset` days (negative: before), each
    year (`yearly`) or once, `at` a wall time of the `recipient` or of the `workspace`; only members of `segment`, when
    given. In years without it 29 February is kept on `leap`."""

    trait: str = Field(min_length=1, max_length=64)
    offset: int = Field(default=0, ge=-365, le=365)
    at: time = time(9)
    yearly: bool = True
    leap: Literal["02-28", "03-01"] = "02-28"
    zone: Literal["recipient", "workspace"] = "recipient"
    segment: str = Field(default="", max_length=80)

    @model_validator(mode="after")
    def _wall(self) -> Self:
        if self.at.tzinfo is not None:
            raise ValueError("'at' is a wall time without a zone, such as 10:00")
        return self


@triggers.register("date_trait")
class DateTrait(Trigger[DateTraitParams]):
    key: ClassVar[str] = "date_trait"
    broadcast: ClassVar[bool] = True
    Params = DateTraitParams

    def slot(self, params: DateTraitParams, after: datetime | None, now: datetime) -> datetime | None:
        """Every day: the latest that has begun anywhere on earth (or in the workspace's zone)."""
        local = params.zone == "recipient"
        tz = FIRST if local else zone(settings.WORKSPACE_ZONE)
        for back in range(3):
            day = local_date(now, tz) - timedelta(days=back)
            instant = opens(day, params.at) if local else resolve(datetime.combine(day, params.at), tz)
            if instant <= now:
                over = closes(day, params.at) if local else instant
                return instant if after is None or over > after else None
        return None

    def moment(self, params: DateTraitParams, slot: datetime, timezone: str) -> datetime | None:
        return moment_of(slot, timezone) if params.zone == "recipient" else None

    def page(self, params: DateTraitParams, slot: datetime, last: int, limit: int) -> tuple[list[Member], int | None]:
        """People whose day it is, found by what the stored text can tell and then judged one by one."""
        here = wall_of(slot) if params.zone == "recipient" else slot.astimezone(zone(settings.WORKSPACE_ZONE))
        target = here.date() - timedelta(days=params.offset)
        rows = Profile.objects.filter(pk__gt=last, erased_at=None, merged_into=None).order_by("pk")
        if params.segment:
            rows = rows.filter(pk__in=Membership.objects.filter(segment__key=params.segment).values("profile"))
        column = NAMES.get(params.trait, params.trait)
        if column not in COLUMNS:
            rows, column = rows.annotate(said=KeyTextTransform(params.trait, "traits")), "said"
        found = list(
            rows.filter(_may_be(column, _near(target, params), params)).values_list("pk", "timezone", column)[:limit]
        )
        members = [
            Member(pk, self.moment(params, slot, timezone), f"date:{target}", _event(params, day, target))
            for pk, timezone, said in found
            if (day := day_of(said, zone(timezone or settings.WORKSPACE_ZONE))) and _is_it(day, target, params)
        ]
        return members, found[-1][0] if len(found) == limit else None

    def audience(self, params: DateTraitParams) -> str:
        return ""

    def provides(self, params: DateTraitParams) -> frozenset[str]:
        return frozenset({"event"})

    def say(self, params: DateTraitParams, language: str) -> str:
        days, clock = abs(params.offset), f"{params.at:%H:%M}"
        english = f"{days} days {'before' if params.offset < 0 else 'after'}" if days else "On the day of"
        chinese = f"{'前' if params.offset < 0 else '后'} {days} 天" if days else "当天"
        yearly = say(" each year", "（每年）", language) if params.yearly else ""
        return say(
            f"{english} “{params.trait}”{yearly}, at {clock}", f"“{params.trait}”{chinese}{yearly} {clock}", language
        )

    def check(self, params: DateTraitParams) -> list[str]:
        return missing(params.segment)


def _near(target: date, params: DateTraitParams) -> list[date]:
    """The days that stored text may name for the target: a moment's local day may be a day off."""
    days = [target + timedelta(days=n) for n in (-1, 0, 1)]
    return [*days, date(2000, 2, 29)] if params.yearly and (target.month, target.day) in ((2, 28), (3, 1)) else days


def _may_be(column: str, days: Sequence[date], params: DateTraitParams) -> Q:
    found = Q(pk__lt=0)
    for day in days:
        found |= Q(**_looks_like(column, day, yearly=params.yearly))
    return found


def _looks_like(column: str, day: date, *, yearly: bool) -> dict[str, Any]:
    if column == "said":
        return {"said__regex": rf"^[0-9]{{4}}-{day:%m-%d}"} if yearly else {"said__startswith": day.isoformat()}
    moment = f"{column}__date" if column == "registered_at" else column
    return {f"{column}__month": day.month, f"{column}__day": day.day} if yearly else {moment: day}


def _is_it(day: date, target: date, params: DateTraitParams) -> bool:
    return (anniversary(day, target.year, leap=params.leap) if params.yearly else day) == target


def _event(params: DateTraitParams, day: date, target: date) -> dict[str, Any]:
    said = {"trait": params.trait, "date": day.isoformat(), "years": target.year - day.year}
    return {"event": {"name": params.trait, "at": target.isoformat(), "value": None, "properties": said}}
