"""The shape of a rule: all, any, not, and questions at the leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.params import Params
from segments.rules.operators import Operator, operators


@dataclass(frozen=True)
class All:
    """Every part holds; without parts it holds for everyone."""

    parts: tuple[Rule, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds; without parts it holds for nobody."""

    parts: tuple[Rule, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Rule


@dataclass(frozen=True)
class Leaf:
    """One question: an operator's key and its parameters. `path` is where it stands in the rule."""

    op: str
    params: Params
    path: str = ""

    @property
    def operator(self) -> Operator[Any]:
        return operators.get(self.op)


Rule = All | AnyOf | Not | Leaf


def leaves(rule: Rule) -> Iterator[Leaf]:
    """All leaves, left to right."""
    if isinstance(rule, Leaf):
        yield rule
    elif isinstance(rule, Not):
        yield from leaves(rule.part)
    else:
        for part in rule.parts:
            yield from leaves(part)
