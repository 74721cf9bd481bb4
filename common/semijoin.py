"""Conditions the ORM lacks: "is among the ids of these rows", in the form each database answers fastest."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import BooleanField, Expression, F, Model, Q, QuerySet, Subquery


class _Test(Expression):
    """A boolean SQL expression that may stand alone in a filter."""

    conditional = True

    def __init__(self, *sources: Any) -> None:
        super().__init__(output_field=BooleanField())
        self.sources = list(sources)

    def get_source_expressions(self) -> list[Any]:
        return self.sources

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        self.sources = list(exprs)


class _InRows(_Test):
    """A column is among the ids of a subquery.

    PostgreSQL makes a semi- or anti-join of EXISTS, also under NOT, while `NOT IN` over a large set is run again
    for every row; SQLite builds the set of IN once, while a correlated EXISTS is probed for every row. `some` are
    the rows cut down to those of the objects in question: SQLite is always given them, PostgreSQL, which finds its
    way from the few objects to their rows by itself, only where the rows are grouped (`cut`).
    """

    def __init__(self, column: str, rows: QuerySet[Any, Any], some: QuerySet[Any, Any], *, cut: bool = False) -> None:
        super().__init__(F(column), Subquery(some), Subquery(some if cut else rows))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        person, rows, params = self._parts(compiler, 1)
        return f"{person} IN {rows}", params

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, Any]:
        person, rows, params = self._parts(compiler, 2)
        return f"EXISTS (SELECT 1 FROM {rows} AS held (id) WHERE held.id = {person})", params

    def _parts(self, compiler: Any, which: int) -> tuple[str, str, list[Any]]:
        person, _ = compiler.compile(self.sources[0])
        rows, params = compiler.compile(self.sources[which])
        return person, rows, list(params)


class _Among(_Test):
    """A column is one of many ids, given as one parameter whatever their number."""

    def __init__(self, column: str, ids: Collection[int]) -> None:
        super().__init__(F(column))
        self.ids = list(ids)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        column, _ = compiler.compile(self.sources[0])
        return f"{column} IN (SELECT value FROM json_each(%s))", [json.dumps(self.ids)]

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, Any]:
        column, _ = compiler.compile(self.sources[0])
        return f"{column} = ANY(%s::bigint[])", [array_of(self.ids)]


class Sql(_Test):
    """A condition on one column that the ORM cannot say, written once for each database.

    `{col}` in the templates is the column; each template comes with its parameters. It must never be NULL.
    """

    def __init__(self, column: str, *, postgres: tuple[str, list[Any]], sqlite: tuple[str, list[Any]]) -> None:
        super().__init__(F(column))
        self.postgres, self.sqlite = postgres, sqlite

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return self._fill(compiler, self.sqlite)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, Any]:
        return self._fill(compiler, self.postgres)

    def _fill(self, compiler: Any, form: tuple[str, list[Any]]) -> tuple[str, Any]:
        column, _ = compiler.compile(self.sources[0])
        return form[0].replace("{col}", column), list(form[1])


def array_of(ids: Collection[int]) -> str:
    """The ids as a PostgreSQL array literal; to hand over a list costs ten times it."""
    return "{" + ",".join(map(str, ids)) + "}"


def among(column: str, ids: Collection[int]) -> Q:
    """The ids of a batch as one parameter: `= ANY(array)` or `IN (json_each)`."""
    return Q(_Among(column, ids))


def nobody() -> Q:
    """A condition that no row meets."""
    return Q(pk__in=[])


def everybody() -> Q:
    """A condition that every row meets."""
    return Q(pk__isnull=False)


def by_key(model: type[Model], key: str, column: str = "pk") -> Subquery:
    """The id (or another column) of the row with this key, to compare a foreign key with. It is looked up once, so
    that what points to the row is found by its own index; a join to the key makes PostgreSQL guess how many rows that
    will be, and at a million people it guessed a plan thirty times dearer."""
    return Subquery(model._default_manager.filter(key=key).order_by().values(column))


Ids = Collection[int] | None


def has(rows: QuerySet[Any, Any], ids: Ids, *, by: str = "profile_id", on: str = "pk") -> Q:
    """The object, by its column `on`, has at least one of the rows, which point to it by `by`.

    `ids` names the objects that the question is about (None: all), so that the rows of others are not looked at;
    it does not change an answer.
    """
    return Q(_InRows(on, rows.order_by().values(by), _about(rows, ids, by).order_by().values(by)))


def has_grouped(rows: QuerySet[Any, Any], ids: Ids, *, test: Q, by: str = "profile_id", **sums: Any) -> Q:
    """The aggregates `sums` over the object's rows pass `test`; an object without rows never passes."""
    grouped = _about(rows, ids, by).order_by().values(by).annotate(**sums).filter(test)
    return Q(_InRows("pk", grouped.values(by), grouped.values(by), cut=True))


def _about(rows: QuerySet[Any, Any], ids: Ids, by: str) -> QuerySet[Any, Any]:
    return rows if ids is None else rows.filter(among(by, ids))
