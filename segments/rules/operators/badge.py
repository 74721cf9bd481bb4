"""Whether somebody was awarded a badge."""

from __future__ import annotations

from django.db.models import Q

from common.params import Params
from common.semijoin import by_key, has
from common.text import say
from segments.facts.names import BADGE_AWARDED
from segments.models import Award
from segments.models import Badge as Badges
from segments.rules.operators import At, Operator, Reads, operators
from segments.rules.operators._words import Text


class BadgeParams(Params):
    """The badge's key."""

    badge: Text


@operators.register("badge")
class Badge(Operator[BadgeParams]):
    """At least one award of that badge."""

    key = "badge"
    family = "growth"
    profiling = False
    Params = BadgeParams

    def q(self, params: BadgeParams, at: At) -> Q:
        return has(Award.objects.filter(badge=by_key(Badges, params.badge)), at.among)

    def say(self, params: BadgeParams, language: str) -> str:
        return say(f"has the badge “{params.badge}”", f"拥有徽章“{params.badge}”", language)

    def blank(self, params: BadgeParams) -> bool | None:
        return False

    def reads(self, params: BadgeParams) -> Reads:
        return Reads(facts=frozenset({BADGE_AWARDED}))

    def check(self, params: BadgeParams) -> list[str]:
        known = Badges.objects.filter(key=params.badge).exists()
        return [] if known else [f"no badge has the key '{params.badge}'"]
