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
from common.semijoin import among, array_of

Build = Callable[[datetime], QuerySet[Any, tuple[Any, ...]]]
Rows = list[tuple[Any, ...]]
_FIRST = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
_SECOND = _FIRST + timedelta(days=1234, seconds=567)
_TIMESTAMPTZ = 1184  # PostgreSQL's number of the type
_NO_IDS = [-(2**62)]  # stands where the ids will be
_known: dict[Hashable, _Compiled | None] = {}


@dataclass(frozen=True)
class _Compiled:
    """`moving` are the places of parameters that follow `now`, with their distance from it; `ids` is the place of
    the ids, if it asks for some."""

    sql: str
    params: tuple[Any, ...]
    moving: tuple[tuple[int, timedelta], ...]
    ids: int | None
    compiler: Any
    converters: Any

    def ask(self, ids: Sequence[int], now: datetime) -> Callable[[], Rows]:
        params = list(self.params)
        for place, distance in self.moving:
            params[place] = now + distance
        if self.ids is not None:
            params[self.ids] = array_of(ids)
        cursor = connection.cursor()
        _read_times_in_c(cursor)
        cursor.execute(self.sql, params)
        return lambda: self._fetch(cursor)

    def _fetch(self, cursor: Any) -> Rows:
        with cursor:
            rows = cursor.fetchall()
        if self.converters:
            rows = self.compiler.apply_converters((list(row) for row in rows), self.converters)
        return list(rows)


def ask_rows(
    key: Hashable, build: Build, column: str = "", ids: Sequence[int] = (), now: datetime = _FIRST
) -> Callable[[], Rows]:
    """Ask for the rows of `build(now)` whose `column` (a field's name; "": all rows) is among `ids`; what is returned
    waits for them. Between asking and waiting more may be asked, so that one journey to the database serves for all.

    What `build` makes is compiled once per `key`. It may depend on nothing but the key and `now`, and must not be
    ordered or sliced.
    """
    if key not in _known:
        _known[key] = _compile(build, column) if is_postgres() else None
    compiled = _known[key]
    if compiled is None:
        return lambda: list(build(now).filter(among(column, ids)) if column else build(now))
    return compiled.ask(ids, now)


def rows_of(key: Hashable, build: Build, column: str = "", ids: Sequence[int] = (), now: datetime = _FIRST) -> Rows:
    """The rows that `ask_rows` asks for."""
    return ask_rows(key, build, column, ids, now)()


def _compile(build: Build, column: str) -> _Compiled | None:
    asked = [build(at).filter(among(column, _NO_IDS)) if column else build(at) for at in (_FIRST, _SECOND)]
    compilers = [one.query.get_compiler(connection=connection) for one in asked]
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
    ids = list(first).index(array_of(_NO_IDS)) if column else None
    return _Compiled(sql, tuple(first), tuple(moving), ids, compiler, converters)


def _read_times_in_c(cursor: Any) -> None:
    """Django puts each time into UTC in Python; the connection's own zone is UTC already, so the driver's own reader
    will do."""
    driver: Any = connection
    reader = driver.Database.adapters.get_loader(_TIMESTAMPTZ, 0)
    cursor.cursor.adapters.register_loader(_TIMESTAMPTZ, reader)
