"""What somebody is: a trait, compared in the usual ways for its type."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Literal

from django.db.models import Q
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from common.params import Params
from common.periods import local_date
from common.text import say
from segments.rules.operators import At, Drift, Operator, Reads, operators
from segments.rules.operators import _traits as on

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r'^[^"\\\x00-\x1f]+$')]
Value = (
    Annotated[StrictStr, Field(min_length=1, max_length=200)]
    | StrictBool
    | StrictInt
    | Annotated[StrictFloat, Field(allow_inf_nan=False)]
)
Number = Annotated[float, Field(allow_inf_nan=False)]
Op = Literal[
    "equals", "not_equals", "any_of", "contains", "starts", "set", "not_set", "less", "greater", "between", "before",
    "after", "last_days", "next_days", "days_ago", "anniversary",
]  # fmt: skip
VALUE, NUMBERS, DAYS = {"equals", "not_equals", "contains", "starts"}, {"less", "greater"}, {"before", "after"}
RELATIVE = {"last_days", "next_days", "days_ago", "anniversary"}
_SAID: dict[str, tuple[str, str]] = {
    "equals": ("is {v}", "为 {v}"),
    "not_equals": ("is not {v}", "不为 {v}"),
    "any_of": ("is one of {v}", "属于 {v}"),
    "contains": ("contains {v}", "包含 {v}"),
    "starts": ("starts with {v}", "以 {v} 开头"),
    "set": ("is known", "已知"),
    "not_set": ("is not known", "未知"),
    "less": ("is less than {v}", "小于 {v}"),
    "greater": ("is greater than {v}", "大于 {v}"),
    "between": ("is between {low:g} and {high:g}", "介于 {low:g} 与 {high:g} 之间"),
    "before": ("is before {v}", "早于 {v}"),
    "after": ("is after {v}", "晚于 {v}"),
    "last_days": ("is within the last {days} days", "在最近 {days} 天内"),
    "next_days": ("is within the next {days} days", "在未来 {days} 天内"),
    "days_ago": ("is at least {days} days ago", "在至少 {days} 天前"),
    "anniversary": ("has its anniversary within {days} days", "的周年日在 {days} 天内"),
}


class TraitParams(Params):
    """`trait` by name, `op`, and what the op needs: value, values, low and high, or days."""

    trait: Name
    op: Op
    value: Value | None = None
    values: Annotated[list[Value], Field(max_length=500)] = Field(default_factory=list)
    low: Number | None = None
    high: Number | None = None
    days: Annotated[int, Field(ge=0, le=3660)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> TraitParams:
        problems = [*self._missing(), *self._wrong_type()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _missing(self) -> list[str]:
        op = self.op
        if op in VALUE | NUMBERS | DAYS and self.value is None:
            return [f"'{op}' needs a value"]
        if op == "any_of" and not self.values:
            return ["'any_of' needs values"]
        if op == "between" and (self.low is None or self.high is None or self.low > self.high):
            return ["'between' needs low and high, in this order"]
        if op in RELATIVE and self.days is None:
            return [f"'{op}' needs days"]
        if op == "anniversary" and (self.days or 0) > 60:
            return ["'anniversary' looks at most 60 days ahead"]
        return []

    def _wrong_type(self) -> list[str]:
        op, found = self.op, []
        if op in NUMBERS and self.value is not None and (isinstance(self.value, str | bool)):
            found.append(f"'{op}' needs a number")
        if op == "starts" and self.value is not None and not isinstance(self.value, str):
            found.append("'starts' needs a text")
        if op in DAYS and self.value is not None and read_day(self.value) is None:
            found.append(f"'{op}' needs a date such as 2026-01-31")
        kind = "text" if self.trait in on.TEXTS else "time" if self.trait in on.COLUMNS else ""
        if kind == "text" and op in NUMBERS | DAYS | RELATIVE | {"between"}:
            found.append(f"'{self.trait}' is a text, '{op}' is not for texts")
        if kind == "text" and any(
            not isinstance(value, str) for value in [*self.values, self.value] if value is not None
        ):
            found.append(f"'{self.trait}' is a text, compare it with texts")
        if kind == "time" and op not in DAYS | RELATIVE | {"set", "not_set"}:
            found.append(f"'{self.trait}' is a date, '{op}' is not for dates")
        if op == "anniversary" and self.trait in on.TIMES:
            found.append(f"'{self.trait}' has no anniversary")
        return found


def read_day(value: object) -> date | None:
    """The date that a text such as 2026-01-31 says, or None."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


@operators.register("trait")
class Trait(Operator[TraitParams]):
    """A typed column or a free trait. `not_equals` holds for those of whom the trait is not known.

    Any call of a sender may bring traits with it, so any may flip the answer. Relative dates count calendar days
    of the workspace and change at its midnight.
    """

    key = "trait"
    family = "traits"
    Params = TraitParams

    def q(self, params: TraitParams, at: At) -> Q:
        op, trait, value = params.op, params.trait, params.value
        if op in RELATIVE:
            return self._relative(params, at)
        if op in DAYS:
            return self._dated(params, at)
        if op in ("set", "not_set"):
            return on.is_set(trait) if op == "set" else ~on.is_set(trait)
        if op == "any_of":
            return on.equals_any(trait, params.values)
        if op == "between":
            return on.number(trait, low=params.low, high=params.high)
        assert value is not None
        if op == "contains":
            return on.contains(trait, value)
        if op == "starts":
            return on.starts(trait, str(value))
        if op in NUMBERS:
            bound = float(value)
            return on.number(trait, **{"high" if op == "less" else "low": bound}, open_ends=True)
        return on.equals_any(trait, [value]) if op == "equals" else ~on.equals_any(trait, [value])

    def _dated(self, params: TraitParams, at: At) -> Q:
        day = read_day(params.value)
        assert day is not None
        one = timedelta(days=1)
        if params.op == "before":
            return on.day_between(params.trait, at.zone, last=day - one)
        return on.day_between(params.trait, at.zone, first=day + one)

    def _relative(self, params: TraitParams, at: At) -> Q:
        today, width = local_date(at.now, at.zone), timedelta(days=params.days or 0)
        if params.op == "last_days":
            return on.day_between(params.trait, at.zone, first=today - width, last=today)
        if params.op == "next_days":
            return on.day_between(params.trait, at.zone, first=today, last=today + width)
        if params.op == "days_ago":
            return on.day_between(params.trait, at.zone, last=today - width)
        return on.yearly(params.trait, [today + timedelta(days=n) for n in range((params.days or 0) + 1)])

    def say(self, params: TraitParams, language: str) -> str:
        shown = " / ".join(map(str, params.values)) if params.op == "any_of" else params.value
        english, chinese = _SAID[params.op]
        given = {"v": shown, "low": params.low or 0, "high": params.high or 0, "days": params.days}
        return say(f"{params.trait} {english.format(**given)}", f"{params.trait} {chinese.format(**given)}", language)

    def reads(self, params: TraitParams) -> Reads:
        drift = Drift.DAILY if params.op in RELATIVE else Drift.NEVER
        return Reads(facts=frozenset({"*"}), traits=frozenset({params.trait}), drift=drift)
