"""The scores from 1 to 5 for recency, frequency and money, each within bounds."""

from __future__ import annotations

from typing import Annotated

from django.db.models import Q
from pydantic import Field, model_validator

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.facts.names import RFM_CHANGED
from segments.models import Scores
from segments.rules.operators import At, Operator, Reads, operators

Score = Annotated[int, Field(ge=1, le=5)]


class RfmScoreParams(Params):
    """Inclusive bounds; what is left out is not asked."""

    r_min: Score | None = None
    r_max: Score | None = None
    f_min: Score | None = None
    f_max: Score | None = None
    m_min: Score | None = None
    m_max: Score | None = None

    @model_validator(mode="after")
    def _some(self) -> RfmScoreParams:
        if not self.bounds():
            raise ValueError("give at least one bound")
        for axis in "rfm":
            low, high = getattr(self, f"{axis}_min"), getattr(self, f"{axis}_max")
            if low is not None and high is not None and low > high:
                raise ValueError(f"{axis}_min is above {axis}_max")
        return self

    def bounds(self) -> list[tuple[str, str, int]]:
        """(axis, "min" or "max", score) of every bound given."""
        given = [(axis, end, getattr(self, f"{axis}_{end}")) for axis in "rfm" for end in ("min", "max")]
        return [(axis, end, score) for axis, end, score in given if score is not None]


@operators.register("rfm_score")
class RfmScore(Operator[RfmScoreParams]):
    """The scores that scoring last wrote; who did not order in the window has none."""

    key = "rfm_score"
    family = "value"
    Params = RfmScoreParams

    def q(self, params: RfmScoreParams, at: At) -> Q:
        lookups = {f"{axis}__{'gte' if end == 'min' else 'lte'}": score for axis, end, score in params.bounds()}
        return has(Scores.objects.filter(**lookups), at.among)

    def say(self, params: RfmScoreParams, language: str) -> str:
        parts = [f"{axis.upper()} {'≥' if end == 'min' else '≤'} {score}" for axis, end, score in params.bounds()]
        return say(f"has RFM scores {', '.join(parts)}", f"RFM 得分 {'，'.join(parts)}", language)

    def blank(self, params: RfmScoreParams) -> bool | None:
        return False

    def reads(self, params: RfmScoreParams) -> Reads:
        return Reads(facts=frozenset({RFM_CHANGED}))
