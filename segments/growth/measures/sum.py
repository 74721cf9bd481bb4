"""How much it comes to: a number of the facts added up, or their money."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from django.conf import settings
from pydantic import Field

from common.money import format_money
from common.params import Params
from common.text import say
from segments.growth.measures import Deed, Measure, measures


class SumParams(Params):
    """`property` names a number of the fact; empty stands for its money, in minor units of the reporting currency."""

    property: Annotated[str, Field(max_length=200)] = ""


@measures.register("sum")
class Sum(Measure[SumParams]):
    """Numbers above 0 are added exactly, as decimals; what is no number counts nothing. Progress shows whole ones."""

    key = "sum"
    place = 3
    Params = SumParams

    def begin(self, count: int) -> Any:
        return "0"

    def add(self, params: SumParams, kept: Any, deed: Deed, target: int) -> Any:
        found = deed.properties.get(params.property) if params.property else deed.value
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < 10**15:
            return kept
        return str(Decimal(kept) + Decimal(str(found)))

    def count(self, params: SumParams, kept: Any, target: int) -> int:
        return int(Decimal(kept))

    def rest(self, params: SumParams, kept: Any, target: int) -> Any:
        return str(Decimal(kept) - target)

    def title(self, language: str) -> str:
        return say("sum", "累计", language)

    def say(self, params: SumParams, fact: str, target: int, language: str) -> str:
        if not params.property:
            money = format_money(target, settings.CURRENCY)
            return say(f"Reach {money} by “{fact}”", f"“{fact}”累计金额达到 {money}", language)
        name = params.property
        return say(f"Reach {target:,} of “{name}” by “{fact}”", f"“{fact}”的“{name}”累计达到 {target:,}", language)
