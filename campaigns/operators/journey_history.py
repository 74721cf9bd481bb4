"""What happened to somebody in a journey lately."""

from __future__ import annotations

from typing import Annotated, Literal

from django.db.models import Q
from django.utils.translation import gettext as _
from pydantic import Field

from campaigns.models import Enrolment, Journey
from common.comparing import Days, say_window, within
from common.params import Params
from common.semijoin import by_key, has
from common.text import say
from segments.rules.operators import At, Drift, Operator, Reads, operators

HOW = {
    "entered": ("entered", "进入过"),
    "completed": ("completed", "完成过"),
    "exited": ("exited", "提前离开过"),
    "converted": ("reached the goal of", "达成过目标："),
    "refused": ("was refused by", "被拒绝进入"),
}
COLUMN = {"entered": "entered_at", "converted": "converted_at"}
Key = Annotated[str, Field(min_length=1, max_length=80)]


class JourneyHistoryParams(Params):
    """The key of a journey (any without), what happened, and within how many `days`. Held-out people count too."""

    journey: Key | None = None
    how: Literal["entered", "completed", "exited", "converted", "refused"] = "entered"
    days: Days | None = None


@operators.register("journey_history")
class JourneyHistory(Operator[JourneyHistoryParams]):
    """Reads the enrolments. Walks are no facts, so a segment that asks this is looked through once a day."""

    key = "journey_history"
    family = "engagement"
    Params = JourneyHistoryParams

    def q(self, params: JourneyHistoryParams, at: At) -> Q:
        rows = Enrolment.objects.all()
        if params.journey is not None:
            rows = rows.filter(journey=by_key(Journey, params.journey))
        if params.how in ("completed", "exited", "refused"):
            rows = rows.filter(state=params.how)
        else:
            rows = rows.exclude(state=Enrolment.State.REFUSED)
        column = COLUMN.get(params.how, "ended_at")
        return has(within(rows.filter(**{f"{column}__isnull": False}), column, params.days, at.now), at.among)

    def say(self, params: JourneyHistoryParams, language: str) -> str:
        english, chinese = HOW[params.how]
        window = say_window(params.days, language)
        if params.journey is None:
            return say(f"{english} any journey {window}", f"{window}{chinese}任一旅程", language)
        return say(f"{english} the journey “{params.journey}” {window}",
                   f"{window}{chinese}旅程“{params.journey}”", language)  # fmt: skip

    def blank(self, params: JourneyHistoryParams) -> bool | None:
        return False

    def reads(self, params: JourneyHistoryParams) -> Reads:
        return Reads(drift=Drift.DAILY)

    def check(self, params: JourneyHistoryParams) -> list[str]:
        if params.journey is None or Journey.objects.filter(key=params.journey).exists():
            return []
        return [_("there is no journey '%(key)s'") % {"key": params.journey}]
