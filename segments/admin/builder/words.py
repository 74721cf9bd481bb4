"""What questions, parameters and values are called, in the operator's language.

The words are those of the keys ("event_count" → "event count"), so that a new operator has a name at once. The
catalogues have the Chinese ones, and English ones that read better, in the contexts "question", "family" and "rule".
An operator may bring a name of its own as `title`, a pair of English and Chinese.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import override, pgettext

from common.text import is_chinese, say
from segments.rules.operators import operators

LANGUAGES = ("en", "zh-hans")


@dataclass(frozen=True)
class Offered:
    """One question in the picker; `search` holds its words in both languages."""

    op: str
    title: str
    about: str
    search: str


@dataclass(frozen=True)
class Family:
    """Questions of one kind, under a heading."""

    title: str
    questions: tuple[Offered, ...]


def word(key: str) -> str:
    """A parameter's name or one of its values."""
    return pgettext("rule", _spaced(key)) if key else key


def question(op: str) -> str:
    """An operator's name."""
    pair: tuple[str, str] | None = getattr(operators.get(op), "title", None)
    return say(*pair) if pair else pgettext("question", _spaced(op))


def family(key: str) -> str:
    return pgettext("family", _spaced(key))


def families() -> list[Family]:
    """Every operator there is, by family, in the order in which families are first met."""
    grouped: dict[str, list[str]] = {}
    for op, operator in operators.items():
        grouped.setdefault(operator.family, []).append(op)
    return [
        Family(family(key), tuple(sorted(map(_offered, ops), key=lambda one: one.title)))
        for key, ops in grouped.items()
    ]


def _offered(op: str) -> Offered:
    operator = operators.get(op)
    about = "" if is_chinese() else (type(operator).__doc__ or "").strip().split("\n")[0]
    return Offered(op, question(op), about, " ".join([op, *_in_every_language(op, operator.family)]).lower())


def _in_every_language(op: str, key: str) -> Iterator[str]:
    for language in LANGUAGES:
        with override(language):
            yield from (question(op), family(key))


def _spaced(key: str) -> str:
    return key.replace("_", " ")
