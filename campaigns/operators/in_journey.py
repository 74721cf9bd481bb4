"""Whether a person walks, walked or finished a journey."""

from __future__ import annotations

from typing import Literal

from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns.models import Enrolment, Journey
from common.params import Params
from common.semijoin import by_key, has
from common.text import say
from segments.rules.operators import At, Drift, Operator, Reads, operators

STATES = {
    "ever": ("has ever entered", "曾进入"),
    "under_way": ("is under way in", "正在"),
    "completed": ("has completed", "已完成"),
    "converted": ("has reached the goal of", "已在其中达成目标："),
}


class InJourneyParams(Params):
    """The key of the journey, and in what way the person was in it. Held-out people count as in it."""

    journey: str
    how: Literal["ever", "under_way", "completed", "converted"] = "ever"


@operators.register("in_journey")
class InJourney(Operator[InJourneyParams]):
    """Reads the enrolments. Walks are no facts, so a segment that asks this is looked through once a day."""

    key = "in_journey"
    family = "engagement"
    profiling = False
    Params = InJourneyParams

    def q(self, params: InJourneyParams, at: At) -> Q:
        rows = Enrolment.objects.filter(journey=by_key(Journey, params.journey)).exclude(state=Enrolment.State.REFUSED)
        if params.how == "under_way":
            rows = rows.filter(ended_at__isnull=True)
        elif params.how == "completed":
            rows = rows.filter(state=Enrolment.State.COMPLETED)
        elif params.how == "converted":
            rows = rows.filter(converted_at__isnull=False)
        return has(rows, at.among)

    def say(self, params: InJourneyParams, language: str) -> str:
        english, chinese = STATES[params.how]
        return say(f"{english} the journey “{params.journey}”", f"{chinese}旅程“{params.journey}”", language)

    def reads(self, params: InJourneyParams) -> Reads:
        return Reads(drift=Drift.DAILY)

    def check(self, params: InJourneyParams) -> list[str]:
        if Journey.objects.filter(key=params.journey).exists():
            return []
        return [_("there is no journey '%(key)s'") % {"key": params.journey}]
