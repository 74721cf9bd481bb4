"""Ask whether the journey's goal was reached on this walk: two ways out, one for each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from campaigns.models import SINCE, Enrolment
from campaigns.steps import Fail, Go, Place, Result, Step, Walker, steps
from common.params import Params
from common.text import say
from segments.facts.filter import passes
from segments.models import Event


class GoalCheckParams(Params):
    """None: the goal is the journey's."""


@steps.register("goal_check")
class GoalCheck(Step[GoalCheckParams]):
    key: ClassVar[str] = "goal_check"
    Params = GoalCheckParams

    def ports(self, params: GoalCheckParams) -> Sequence[str]:
        return ("reached", "not_reached")

    def decide(
        self, group: Sequence[Walker], params: GoalCheckParams, place: Place, now: datetime
    ) -> Mapping[int, Result]:
        """The walk's own mark, and the log: a reader of facts that lags behind changes no answer."""
        if place.goal is None:
            return {w.enrolment: Fail("the journey has no goal", permanent=True) for w in group}
        rows = Enrolment.objects.filter(pk__in=[w.enrolment for w in group])
        marks = {pk: (since, marked) for pk, since, marked in rows.values_list("pk", SINCE, "converted_at")}
        heard = _heard({w.profile for w in group}, place.goal, min(since for since, _ in marks.values()))
        found: dict[int, Result] = {}
        for walker in group:
            since, marked = marks[walker.enrolment]
            reached = marked is not None or heard.get(walker.profile, datetime.min.replace(tzinfo=now.tzinfo)) >= since
            found[walker.enrolment] = Go("reached" if reached else "not_reached")
        return found

    def say(self, params: GoalCheckParams, language: str) -> str:
        return say("Was the goal reached?", "目标是否达成？", language)


def _heard(people: set[int], goal: Any, since: datetime) -> dict[int, datetime]:
    """When each of these people last did what the goal asks for."""
    rows = Event.objects.filter(profile__in=people, name=goal.fact, occurred_at__gte=since, live=True)
    said = rows.order_by("occurred_at").values_list("profile_id", "occurred_at", "properties")
    return {profile: at for profile, at, properties in said if passes(properties, goal.filter)}
