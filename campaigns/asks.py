"""What a journey as text asks of whoever installs it: values that only they know, such as how long their goods last.

In the text `{"$ask": "weeks"}` stands for a value; `asks` lists each with its question, kind and default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from common.params import Invalid, Problem, parse_duration
from common.text import say

MARK = "$ask"
KINDS = ("text", "number", "duration", "list")


class Unanswered(Invalid):
    """Values are missing, or cannot be read; `asks` are those concerned."""

    def __init__(self, problems: list[Problem], asks: list[Ask]) -> None:
        self.asks = asks
        super().__init__(problems)


@dataclass(frozen=True)
class Ask:
    """One question: `kind` text, number (whole), duration or list (of texts); without a `default` it must be
    answered."""

    key: str
    kind: str
    title: str
    title_zh: str
    default: Any = None

    @property
    def name(self) -> str:
        """The question in the active language."""
        return say(self.title, self.title_zh)

    @property
    def shown(self) -> str:
        """The default as it is typed."""
        return ", ".join(self.default) if isinstance(self.default, list) else str(self.default or "")


def asks_of(data: Mapping[str, Any]) -> list[Ask]:
    """The questions of a text, in its order."""
    return [_ask(row) for row in data.get("asks", ())]


def _ask(row: Mapping[str, Any]) -> Ask:
    title = str(row["title"])
    return Ask(
        str(row["key"]), str(row.get("kind", "text")), title, str(row.get("title_zh", title)), row.get("default")
    )


def answered(data: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    """The text with every place filled by an answer, else by the default. Raises Unanswered with everything missing."""
    values, problems, open_ones = dict[str, Any](), list[Problem](), list[Ask]()
    known = asks_of(data)
    for ask in known:
        given = answers.get(ask.key, "")
        try:
            values[ask.key] = _read(ask, ask.default if given in ("", None) else given)
        except ValueError as error:
            problems.append(Problem(f"asks.{ask.key}", str(error)))
            open_ones.append(ask)
    strange = sorted(set(answers) - {ask.key for ask in known})
    problems += [Problem(f"asks.{key}", _("nobody asks for this")) for key in strange]
    if problems:
        raise Unanswered(problems, open_ones)
    filled: dict[str, Any] = _filled({name: value for name, value in data.items() if name != "asks"}, values)
    return filled


def _read(ask: Ask, value: Any) -> Any:
    if value in ("", None, []):
        raise ValueError(_("is needed: %(question)s") % {"question": ask.name})
    if ask.kind == "number":
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ValueError(_("is a whole number")) from None
    if ask.kind == "duration":
        parse_duration(value)
        return str(value)
    if ask.kind == "list":
        parts = value if isinstance(value, list) else str(value).replace("，", ",").split(",")
        return [str(one).strip() for one in parts if str(one).strip()]
    return str(value)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {MARK}:
            return values.get(str(value[MARK]))
        return {name: _filled(one, values) for name, one in value.items()}
    return [_filled(one, values) for one in value] if isinstance(value, list) else value
