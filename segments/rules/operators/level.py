"""The rung of the ladder on which somebody stands."""

from __future__ import annotations

from typing import Annotated

from django.db.models import Q
from pydantic import Field

from common.params import Params
from common.semijoin import by_key, has
from common.text import say
from segments.facts.names import LEVEL_LOST, LEVEL_REACHED, POINTS_CHANGED
from segments.models import Level as Levels
from segments.models import Wallet
from segments.rules.operators import At, Drift, Operator, Reads, operators
from segments.rules.operators._words import Text


class LevelParams(Params):
    """The keys of one or more levels."""

    levels: Annotated[list[Text], Field(min_length=1, max_length=50)]


@operators.register("level")
class Level(Operator[LevelParams]):
    """The level that the points ledger last gave or took; one that an operator removes is noticed once a day."""

    key = "level"
    family = "growth"
    profiling = False
    Params = LevelParams

    def q(self, params: LevelParams, at: At) -> Q:
        return has(Wallet.objects.filter(level__pk__in=[by_key(Levels, key) for key in params.levels]), at.among)

    def say(self, params: LevelParams, language: str) -> str:
        names = say(" or ", "或", language).join(params.levels)
        return say(f"has the level {names}", f"等级为 {names}", language)

    def blank(self, params: LevelParams) -> bool | None:
        return False

    def reads(self, params: LevelParams) -> Reads:
        return Reads(facts=frozenset({LEVEL_REACHED, LEVEL_LOST, POINTS_CHANGED}), drift=Drift.DAILY)

    def check(self, params: LevelParams) -> list[str]:
        known = set(Levels.objects.filter(key__in=params.levels).values_list("key", flat=True))
        return [f"no level has the key '{key}'" for key in params.levels if key not in known]
