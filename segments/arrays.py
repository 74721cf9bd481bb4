"""Columns of values as PostgreSQL array literals, made by joining: half of what many small rows cost is telling them.

psycopg asks for the type of every element and adapts each by itself; a column of one known type is one join, and
escaping is done once for all of its text (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from django.db import DataError

APART = "\0"  # no text of a database holds it, so it can stand between two of them


def literal(kind: str, values: Sequence[Any]) -> Any:
    """The values of a column of that PostgreSQL type as text to be cast to its array; of other types, as a list."""
    join = _JOINS.get(kind)
    return list(values) if join is None else join(values)


def _plain(values: Sequence[Any]) -> str:
    """Numbers, UUIDs, and yes or no: their Python form is PostgreSQL's."""
    text = ",".join(map(str, values))
    return "{" + (text.replace("None", "NULL") if "None" in text else text) + "}"


def _moments(values: Sequence[date | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else value.isoformat() for value in values]) + "}"


def _texts(values: Sequence[str | None]) -> str:
    """Texts, quoted. Raises DataError for one with NUL, as the database would."""
    if None in values:
        return "{" + ",".join(["NULL" if value is None else _texts([value])[1:-1] for value in values]) + "}"
    text = APART.join(values)  # type: ignore[arg-type]
    if text.count(APART) != len(values) - 1:
        raise DataError("PostgreSQL text cannot contain NUL (0x00) bytes")
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return '{"' + text.replace('"', '\\"').replace(APART, '","') + '"}'


_JOINS: dict[str, Callable[[Sequence[Any]], str]] = {
    **dict.fromkeys(("bigint", "integer", "smallint", "boolean", "uuid"), _plain),
    **dict.fromkeys(("timestamptz", "date"), _moments),
    **dict.fromkeys(("text", "varchar", "jsonb"), _texts),
}
