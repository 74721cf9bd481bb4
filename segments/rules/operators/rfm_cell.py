"""In which of the eleven cells, or of the eight Chinese octants, recency, frequency and money put somebody."""

from __future__ import annotations

from typing import Literal

from django.db.models import Q
from pydantic import Field, model_validator

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.facts.names import RFM_CHANGED
from segments.models import Scores
from segments.rules.operators import At, Operator, Reads, operators
from segments.rules.operators._cells import CELLS, OCTANTS

Cell = Literal[
    "champions", "loyal", "potential_loyalist", "new", "promising", "need_attention", "about_to_sleep", "at_risk",
    "cant_lose", "hibernating", "lost",
]  # fmt: skip
Octant = Literal[
    "key_value", "key_growth", "key_keep", "key_win_back", "common_value", "common_growth", "common_keep",
    "common_win_back",
]  # fmt: skip


class RfmCellParams(Params):
    """Any of `cells` (on recency and frequency) or of `octants` (on all three)."""

    cells: list[Cell] = Field(default_factory=list)
    octants: list[Octant] = Field(default_factory=list)

    @model_validator(mode="after")
    def _some(self) -> RfmCellParams:
        if not self.cells and not self.octants:
            raise ValueError("name at least one cell or octant")
        return self


@operators.register("rfm_cell")
class RfmCell(Operator[RfmCellParams]):
    """The cell that scoring last wrote; who did not order in the window is in none."""

    key = "rfm_cell"
    family = "value"
    Params = RfmCellParams

    def q(self, params: RfmCellParams, at: At) -> Q:
        return has(Scores.objects.filter(Q(cell__in=params.cells) | Q(octant__in=params.octants)), at.among)

    def say(self, params: RfmCellParams, language: str) -> str:
        named = [CELLS[cell] for cell in params.cells] + [OCTANTS[octant] for octant in params.octants]
        english, chinese = " or ".join(name for name, _ in named), "或".join(name for _, name in named)
        return say(f"is in the RFM cell {english}", f"属于 RFM 分群 {chinese}", language)

    def blank(self, params: RfmCellParams) -> bool | None:
        return False

    def reads(self, params: RfmCellParams) -> Reads:
        return Reads(facts=frozenset({RFM_CHANGED}))
