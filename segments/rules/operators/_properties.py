"""Tests on the properties of facts: what a rule may ask of them, as a filter of rows and in words.

`{"kind": "x"}` is equality in value and kind (containment on PostgreSQL), `{"kind": ["x", "y"]}` any of them, and
`{"price": {"at_least": 10, "less_than": 20}}` a test of which every part holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Annotated, Any

from django.db.models import Q, QuerySet
from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from common import jsonsql
from common.params import Params, one_value
from common.text import say
from segments.rules.operators import _json

COLUMN = "properties"
Key = Annotated[str, Field(min_length=1, max_length=64, pattern=r'^[^"\\\x00-\x1f]+$')]
Word = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Scalar = Annotated[
    Annotated[StrictStr, Field(max_length=2000)]
    | StrictBool
    | StrictInt
    | Annotated[StrictFloat, Field(allow_inf_nan=False)],
    BeforeValidator(one_value),
]
Some = Annotated[list[Scalar], Field(min_length=1, max_length=500)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class PropertyTest(Params):
    """At least one of these; all that are given must hold. `contains` is for texts and lists, letters as written."""

    any_of: Some | None = None
    none_of: Some | None = None
    contains: Word | None = None
    starts: Word | None = None
    ends: Word | None = None
    at_least: Number | None = None
    more_than: Number | None = None
    at_most: Number | None = None
    less_than: Number | None = None
    set: StrictBool | None = None

    @model_validator(mode="after")
    def _asks(self) -> PropertyTest:
        if not self.given:
            raise ValueError(f"a test asks at least one of: {', '.join(type(self).model_fields)}")
        return self

    @property
    def given(self) -> dict[str, Any]:
        """What is asked, by name."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list | tuple) else "test" if isinstance(value, dict | PropertyTest) else "value"


Wanted = Annotated[
    Annotated[Scalar, Tag("value")] | Annotated[Some, Tag("list")] | Annotated[PropertyTest, Tag("test")],
    Discriminator(_kind),
]
Where = Annotated[dict[Key, Wanted], Field(max_length=10)]


def where(rows: QuerySet[Any, Any], tests: Mapping[str, Any]) -> QuerySet[Any, Any]:
    """The facts whose properties pass every test; names are taken as they are written, a dot does not look inside."""
    for name, wanted in tests.items():
        rows = rows.filter(_passes(name, wanted))
    return rows


def say_where(tests: Mapping[str, Any], language: str) -> str:
    """ " (kind = x, price at least 10)"; empty without tests."""
    said = [f"{name} {_said(wanted, language)}" for name, wanted in tests.items()]
    return say(f" ({', '.join(said)})", f"（{'，'.join(said)}）", language) if said else ""


def _passes(name: str, wanted: Any) -> Q:
    if isinstance(wanted, PropertyTest):
        return reduce(lambda found, part: found & _TESTS[part[0]](name, part[1]), wanted.given.items(), Q())
    return _any(name, wanted if isinstance(wanted, list) else [wanted])


def _any(name: str, values: list[jsonsql.Scalar]) -> Q:
    return jsonsql.equals_any(COLUMN, name, values)


def _contains(name: str, value: str) -> Q:
    return jsonsql.has_element(COLUMN, name, value) | jsonsql.text(COLUMN, name, value, start=False)


def _set(name: str, wanted: bool) -> Q:
    return jsonsql.is_set(COLUMN, name) if wanted else ~jsonsql.is_set(COLUMN, name)


def _than(sign: str) -> Callable[[str, float], Q]:
    return lambda name, value: jsonsql.number(COLUMN, name, sign, value)


_TESTS: dict[str, Callable[[str, Any], Q]] = {
    "any_of": _any,
    "none_of": lambda name, values: ~_any(name, values),
    "contains": _contains,
    "starts": lambda name, value: jsonsql.text(COLUMN, name, value, start=True),
    "ends": lambda name, value: _json.ends(COLUMN, name, value),
    "at_least": _than(">="),
    "more_than": _than(">"),
    "at_most": _than("<="),
    "less_than": _than("<"),
    "set": _set,
}
_WORDS = {
    "any_of": ("is one of {}", "属于 {}"),
    "none_of": ("is none of {}", "不属于 {}"),
    "contains": ("contains {}", "包含 {}"),
    "starts": ("starts with {}", "以 {} 开头"),
    "ends": ("ends with {}", "以 {} 结尾"),
    "at_least": ("at least {:g}", "至少 {:g}"),
    "more_than": ("more than {:g}", "大于 {:g}"),
    "at_most": ("at most {:g}", "至多 {:g}"),
    "less_than": ("less than {:g}", "小于 {:g}"),
}


def _said(wanted: Any, language: str) -> str:
    if isinstance(wanted, list):
        return say("is one of {}", "属于 {}", language).format(_listed(wanted))
    if not isinstance(wanted, PropertyTest):
        return f"= {wanted}"
    return say(" and ", " 且", language).join(_part(name, value, language) for name, value in wanted.given.items())


def _part(name: str, value: Any, language: str) -> str:
    if name == "set":
        return say("is known", "已知", language) if value else say("is not known", "未知", language)
    english, chinese = _WORDS[name]
    return say(english, chinese, language).format(_listed(value) if isinstance(value, list) else value)


def _listed(values: list[Any]) -> str:
    return " / ".join(map(str, values))
