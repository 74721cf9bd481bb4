"""States move only along a table, by a conditional update whose row count says who won."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models
from django.db.models import CheckConstraint, Q, QuerySet

Moves = Mapping[str, frozenset[str]]


class ForbiddenMove(ValueError):
    """The MOVES table has no such step."""


def sources_of(moves: Moves, to: str) -> list[str]:
    """All states that may move to `to`."""
    return [state for state, targets in moves.items() if to in targets]


def move(rows: QuerySet[Any], moves: Moves, to: str, *, field: str = "state", **also: Any) -> int:
    """Move every row of `rows` that may to state `to`, setting `also` with it; returns how many moved.

    Raises ForbiddenMove when no state at all leads to `to`.
    """
    sources = sources_of(moves, to)
    if not sources:
        raise ForbiddenMove(f"nothing moves to '{to}'")
    return rows.filter(**{f"{field}__in": sources}).update(**{field: to}, **also)


def in_choices(name: str, field: str, choices: type[models.TextChoices] | Iterable[str]) -> CheckConstraint:
    """A database check that `field` holds one of the choices."""
    values = choices.values if isinstance(choices, type) else list(choices)
    return CheckConstraint(condition=Q(**{f"{field}__in": values}), name=name)
