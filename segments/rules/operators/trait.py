"""What somebody is: a trait, compared in the usual ways for its type."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Literal

from django.db.models import Q
from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from common.params import Params, one_value
from common.periods import local_date
from common.text import say
from segments.rules.operators import At, Drift, Operator, Reads, operators
from segments.rules.operators import _traits as on

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r'^[^"\\\x00-\x1f]+$')]
Value = Annotated[
    Annotated[StrictStr, Field(min_length=1, max_length=200)]
    | StrictBool
    | StrictInt
    | Annotated[StrictFloat, Field(allow_inf_nan=False)],
    BeforeValidator(one_value),
]
Number = Annotated[float, Field(allow_inf_nan=False)]
Day = Annotated[StrictStr, Field(max_length=10)]
Op = Literal[
    "equals", "not_equals", "any_of", "none_of", "contains", "not_contains", "contains_any", "contains_all", "starts",
    "ends", "set", "not_set", "less", "greater", "at_least", "at_most", "between", "before", "after",
    "between_days", "last_days", "next_days", "days_ago", "anniversary", "anniversary_around",
]  # fmt: skip
VALUE = {"equals", "not_equals", "contains", "not_contains", "starts", "ends"}
VALUES = {"any_of", "none_of", "contains_any", "contains_all"}
NUMBERS, DAYS = {"less", "greater", "at_least", "at_most"}, {"before", "after"}
YEARLY = {"anniversary", "anniversary_around"}
RELATIVE = {"last_days", "next_days", "days_ago", *YEARLY}
_SAID: dict[str, tuple[str, str]] = {
    "equals": ("is {v}", "为 {v}"),
    "not_equals": ("is not {v}", "不为 {v}"),
    "any_of": ("is one of {v}", "属于 {v}"),
    "none_of": ("is none of {v}", "不属于 {v}"),
    "contains": ("contains {v}", "包含 {v}"),
    "not_contains": ("does not contain {v}", "不包含 {v}"),
    "contains_any": ("contains one of {v}", "包含 {v} 之一"),
    "contains_all": ("contains each of {v}", "包含 {v} 全部"),
    "starts": ("starts with {v}", "以 {v} 开头"),
    "ends": ("ends with {v}", "以 {v} 结尾"),
    "set": ("is known", "已知"),
    "not_set": ("is not known", "未知"),
    "less": ("is less than {v}", "小于 {v}"),
    "greater": ("is greater than {v}", "大于 {v}"),
    "at_least": ("is at least {v}", "不小于 {v}"),
    "at_most": ("is at most {v}", "不大于 {v}"),
    "between": ("is between {low:g} and {high:g}", "介于 {low:g} 与 {high:g} 之间"),
    "before": ("is before {v}", "早于 {v}"),
    "after": ("is after {v}", "晚于 {v}"),
    "between_days": ("is from {first} to {last}", "在 {first} 至 {last} 之间"),
    "last_days": ("is within the last {days} days", "在最近 {days} 天内"),
    "next_days": ("is within the next {days} days", "在未来 {days} 天内"),
    "days_ago": ("is at least {days} days ago", "在至少 {days} 天前"),
    "anniversary": ("has its anniversary within {days} days", "的周年日在 {days} 天内"),
    "anniversary_around": ("has its anniversary {days} days ago to {days} days ahead", "的周年日在前后 {days} 天内"),
}


class TraitParams(Params):
    """`trait` by name, `op`, and what the op needs: value, values, low and high, first and last, or days."""

    trait: Name
    op: Op
    value: Value | None = None
    values: Annotated[list[Value], Field(max_length=500)] = Field(default_factory=list)
    low: Number | None = None
    high: Number | None = None
    first: Day | None = None
    last: Day | None = None
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
        if op in VALUES and not self.values:
            return [f"'{op}' needs values"]
        if op == "between" and (self.low is None or self.high is None or self.low > self.high):
            return ["'between' needs low and high, in this order"]
        if op in RELATIVE and self.days is None:
            return [f"'{op}' needs days"]
        if op in YEARLY and (self.days or 0) > 60:
            return [f"'{op}' looks at most 60 days ahead"]
        return self._no_span() if op == "between_days" else []

    def _no_span(self) -> list[str]:
        first, last = read_day(self.first), read_day(self.last)
        if first is None or last is None or first > last:
            return ["'between_days' needs first and last, dates such as 2026-01-31, in this order"]
        return []

    def _wrong_type(self) -> list[str]:
        op, found = self.op, []
        if op in NUMBERS and self.value is not None and (isinstance(self.value, str | bool)):
            found.append(f"'{op}' needs a number")
        if op in ("starts", "ends") and self.value is not None and not isinstance(self.value, str):
            found.append(f"'{op}' needs a text")
        if op in DAYS and self.value is not None and read_day(self.value) is None:
            found.append(f"'{op}' needs a date such as 2026-01-31")
        kind = "text" if self.trait in on.TEXTS else "time" if self.trait in on.COLUMNS else ""
        if kind == "text" and op in NUMBERS | DAYS | RELATIVE | {"between", "between_days"}:
            found.append(f"'{self.trait}' is a text, '{op}' is not for texts")
        if kind == "text" and any(
            not isinstance(value, str) for value in [*self.values, self.value] if value is not None
        ):
            found.append(f"'{self.trait}' is a text, compare it with texts")
        if kind == "time" and op not in DAYS | RELATIVE | {"set", "not_set", "between_days"}:
            found.append(f"'{self.trait}' is a date, '{op}' is not for dates")
        if op in YEARLY and self.trait in on.TIMES:
            found.append(f"'{self.trait}' has no anniversary")
        return found


def read_day(value: object) -> date | None:
    """The date that a text such as 2026-01-31 says, from the year 1000 to 8999, or None."""
    if not isinstance(value, str) or not re.fullmatch(r"[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


@operators.register("trait")
class Trait(Operator[TraitParams]):
    """A typed column or a free trait. What is said with not or none holds where the trait is not known.

    Any call of a sender may bring traits with it, so any may flip the answer. Relative dates count calendar days
    of the workspace and change at its midnight.
    """

    key = "trait"
    family = "traits"
    profiling = False
    Params = TraitParams

    def q(self, params: TraitParams, at: At) -> Q:
        op, trait = params.op, params.trait
        if op in RELATIVE:
            return self._relative(params, at)
        if op in DAYS or op == "between_days":
            return self._dated(params, at)
        if op in ("set", "not_set"):
            return on.is_set(trait) if op == "set" else ~on.is_set(trait)
        if op in VALUES:
            return self._one_of(params)
        if op == "between":
            return on.number(trait, low=params.low, high=params.high)
        assert params.value is not None
        return self._compared(op, trait, params.value)

    def _one_of(self, params: TraitParams) -> Q:
        if params.op in ("any_of", "none_of"):
            found = on.equals_any(params.trait, params.values)
            return found if params.op == "any_of" else ~found
        return on.contains_some(params.trait, params.values, every=params.op == "contains_all")

    def _compared(self, op: str, trait: str, value: Value) -> Q:
        if op in ("contains", "not_contains"):
            return on.contains(trait, value) if op == "contains" else ~on.contains(trait, value)
        if op in ("starts", "ends"):
            return (on.starts if op == "starts" else on.ends)(trait, str(value))
        if op in NUMBERS:
            end = "high" if op in ("less", "at_most") else "low"
            return on.number(trait, **{end: float(value)}, open_ends=op in ("less", "greater"))
        return on.equals_any(trait, [value]) if op == "equals" else ~on.equals_any(trait, [value])

    def _dated(self, params: TraitParams, at: At) -> Q:
        if params.op == "between_days":
            return on.day_between(params.trait, at.zone, first=read_day(params.first), last=read_day(params.last))
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
        ahead = params.days or 0
        back = -ahead if params.op == "anniversary_around" else 0
        return on.yearly(params.trait, [today + timedelta(days=n) for n in range(back, ahead + 1)])

    def say(self, params: TraitParams, language: str) -> str:
        shown = " / ".join(map(str, params.values)) if params.op in VALUES else params.value
        english, chinese = _SAID[params.op]
        given = {"v": shown, "low": params.low or 0, "high": params.high or 0, "days": params.days,
                 "first": params.first, "last": params.last}  # fmt: skip
        return say(f"{params.trait} {english.format(**given)}", f"{params.trait} {chinese.format(**given)}", language)

    def reads(self, params: TraitParams) -> Reads:
        drift = Drift.DAILY if params.op in RELATIVE else Drift.NEVER
        return Reads(facts=frozenset({"*"}), traits=frozenset({params.trait}), drift=drift)
