"""Parameters of plug-ins: frozen pydantic models whose errors come all at once with their paths."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from django.utils.translation import gettext as _
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError
from pydantic_core import ErrorDetails

from common.told import tell

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([0-9]+)\s*([smhdw])")
LONGEST = timedelta(days=3650)
_MOST_DIGITS = 9  # of one number; ten years are 315,360,000 seconds
_SHOWN = 40  # characters of a wrong text that its error repeats


def parse_duration(value: object) -> timedelta:
    """Read "90s", "15m", "3d" or "1d 12h" (also a timedelta), at most LONGEST: what is added to a moment must give
    a moment. Raises ValueError on anything else."""
    span = value if isinstance(value, timedelta) else _span(str(value))
    if abs(span) > LONGEST:
        raise ValueError(_("'%(text)s' is longer than 3650d, ten years") % {"text": str(value)[:_SHOWN]})
    return span


def _span(text: str) -> timedelta:
    plain = text.strip().lower()
    parts = _DURATION.findall(plain)
    if not parts or _DURATION.sub("", plain).strip():
        said = {"text": text[:_SHOWN]}
        raise ValueError(_("'%(text)s' is not a duration such as 90s, 15m, 12h, 3d or 2w") % said)
    if any(len(count.lstrip("0")) > _MOST_DIGITS for count, _unit in parts):
        return timedelta.max
    return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in parts))


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: 259200 s is "3d"."""
    left, parts = int(value.total_seconds()), []
    for unit in ("w", "d", "h", "m", "s"):
        count, left = divmod(left, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]


class Params(BaseModel):
    """Base of every plug-in's parameters: frozen, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an operator's input: `path` such as "nodes.gift.params.pool".

    As text it is in the language of whoever reads it.
    """

    path: str
    message: str

    def __str__(self) -> str:
        said = tell(self.message)
        return f"{self.path}: {said}" if self.path else said


class Invalid(ValueError):
    """Operator input that cannot be used; carries every Problem at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


def read_params(model: type[P], raw: Mapping[str, Any], *, path: str = "") -> P:
    """Validate `raw` into `model`. Raises Invalid with every Problem, paths as they are in `raw`, below `path`."""
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        raise Invalid(problems_of(error, raw, path=path)) from None


def problems_of(error: ValidationError, given: Any, *, path: str = "") -> list[Problem]:
    """Every pydantic error as a Problem, its path that of the JSON in `given`, below `path`."""
    found: dict[str, list[ErrorDetails]] = defaultdict(list)
    for item in error.errors(include_url=False, include_context=False):
        found[".".join(_written(item, given))].append(item)
    return [
        Problem(_below(path, where), item["msg"].removeprefix("Value error, "))
        for where, items in found.items()
        for item in _of_its_type(items)
    ]


def _written(item: ErrorDetails, given: Any) -> list[str]:
    """The names and places of an error that stand in the JSON: pydantic puts the tags of types among them."""
    missing = item["type"] == "missing"
    places = item["loc"][:-1] if missing else item["loc"]
    ways = list(_ways(places, given))
    _value, way = max(ways, key=lambda way: (way[0] is item["input"], len(way[1])))
    return [*way, str(item["loc"][-1])] if missing else way


def _ways(places: Sequence[str | int], given: Any) -> Iterator[tuple[Any, list[str]]]:
    """What the places may lead to in the JSON, and how, each of them either gone through or left out."""
    if not places:
        yield given, []
        return
    first, rest = places[0], places[1:]
    if first in given if isinstance(given, Mapping) else _is_place(first, given):
        yield from ((value, [str(first), *way]) for value, way in _ways(rest, given[first]))
    yield from _ways(rest, given)


def _is_place(first: str | int, given: Any) -> bool:
    return isinstance(given, list | tuple) and isinstance(first, int) and first < len(given)


def _of_its_type(items: list[ErrorDetails]) -> list[ErrorDetails]:
    """Where several types are possible, what is wrong with the value as the type that it is of, if it is of one."""
    return [item for item in items if not item["type"].endswith("_type")] or items


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def one_value(value: object) -> object:
    """Let a text, a number, true or false pass, for a parameter that may be any of them. Raises ValueError else."""
    if isinstance(value, str | int | float):
        return value
    raise ValueError("this is a text, a number, true or false")
