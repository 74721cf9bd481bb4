"""Compile a query once: the ORM takes longer to write the gates' query than PostgreSQL to answer it.

A builder makes the query for a `now`; it is compiled for two of them, and parameters that moved along are
`now` plus a distance. So the text stays the same from group to group, and the server prepares it once. Whatever
does not fit (another database, a parameter that moves otherwise) is simply run through the ORM each time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from common.clock import is_postgres

Build = Callable[[datetime], QuerySet[Any, tuple[Any, ...]]]
_FIRST = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
_SECOND = _FIRST + timedelta(days=1234, seconds=567)
_known: dict[Hashable, _Compiled | None] = {}


@dataclass(frozen=True)
class _Compiled:
    """`moving` are the places of parameters that follow `now`, with their distance from it."""

    sql: str
    params: tuple[Any, ...]
    moving: tuple[tuple[int, timedelta], ...]
    compiler: Any
    converters: Any

    def run(self, ids: Sequence[int], now: datetime) -> list[tuple[Any, ...]]:
        params = list(self.params)
        for place, distance in self.moving:
            params[place] = now + distance
        with connection.cursor() as cursor:
            cursor.execute(self.sql, [*params, list(ids)])
            rows = cursor.fetchall()
        if self.converters:
            rows = self.compiler.apply_converters((list(row) for row in rows), self.converters)
        return list(rows)


def rows_of(key: Hashable, build: Build, column: str, ids: Sequence[int], now: datetime) -> list[tuple[Any, ...]]:
    """The rows of `build(now)` whose `column` (a table's column) is among `ids`; compiled once per `key`.

    What `build` makes may depend on nothing but the key and `now`, and must not be ordered or sliced.
    """
    if key not in _known:
        _known[key] = _compile(build, column) if is_postgres() else None
    compiled = _known[key]
    if compiled is None:
        name = column.rpartition(".")[2]
        return list(build(now).filter(**{f"{name}__in": list(ids)}))
    return compiled.run(ids, now)


def _compile(build: Build, column: str) -> _Compiled | None:
    compilers = [build(at).query.get_compiler(connection=connection) for at in (_FIRST, _SECOND)]
    (sql, first), (other, second) = (compiler.as_sql() for compiler in compilers)
    if sql != other or len(first) != len(second):
        return None
    moving = []
    for place, (before, after) in enumerate(zip(first, second, strict=True)):
        if before == after:
            continue
        if not isinstance(before, datetime) or not isinstance(after, datetime) or before - _FIRST != after - _SECOND:
            return None
        moving.append((place, before - _FIRST))
    compiler = compilers[0]
    converters = compiler.get_converters([chosen for chosen, _, _ in compiler.select])
    sql = f"{sql} AND {column} = ANY(%s::bigint[])"
    return _Compiled(sql, tuple(first), tuple(moving), compiler, converters)
