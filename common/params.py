"""Parameters of plug-ins: frozen pydantic models whose errors come all at once with their paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from django.utils.translation import gettext as _
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

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
    """Validate `raw` into `model`. Raises Invalid with one Problem per wrong field, paths below `path`."""
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        raise Invalid(problems_of(error, path=path)) from None


def problems_of(error: ValidationError, *, path: str = "") -> list[Problem]:
    """Every pydantic error as a Problem with a dotted path."""
    found = []
    for item in error.errors(include_url=False, include_context=False):
        where = ".".join([path, *map(str, item["loc"])]) if path else ".".join(map(str, item["loc"]))
        found.append(Problem(where, item["msg"].removeprefix("Value error, ")))
    return found
