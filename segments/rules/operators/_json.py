"""Values under a key of a JSON column that SQL can add up, count apart or look at from the end; never an error,
whatever a sender wrote there."""

from __future__ import annotations

from typing import Any

from django.db.models import F, FloatField, Func, Q, TextField

from common.semijoin import Sql

MOST = 1e18  # larger numbers count as this one, so that no sum leaves the range of either database


class Number(Func):
    """The number under the key; NULL where there is none (a text that looks like one is a text)."""

    def __init__(self, column: str, key: str) -> None:
        super().__init__(F(column), output_field=FloatField())
        self.name = key

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, Any]:
        column, params = compiler.compile(self.source_expressions[0])
        return (
            f"CASE WHEN jsonb_typeof({column} -> %s::text) = 'number' THEN"
            f" LEAST(GREATEST(({column} ->> %s::text)::numeric, {-MOST}), {MOST})::float8 END",
            [*params, self.name, *params, self.name],
        )

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, Any]:
        column, params = compiler.compile(self.source_expressions[0])
        path = f'$."{self.name}"'
        return (
            f"CASE WHEN JSON_TYPE({column}, %s) IN ('integer', 'real')"
            f" THEN MIN(MAX(JSON_EXTRACT({column}, %s), {-MOST}), {MOST}) END",
            [*params, path, *params, path],
        )


class Kept(Func):
    """The value under the key in a form that differs where values differ: 1 is 1.0 but neither true nor "1".
    NULL for what is missing, null, an empty text, a list or an object."""

    def __init__(self, column: str, key: str) -> None:
        super().__init__(F(column), output_field=TextField())
        self.name = key

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, Any]:
        column, params = compiler.compile(self.source_expressions[0])
        return (
            f"CASE WHEN jsonb_typeof({column} -> %s::text) IN ('string', 'number', 'boolean')"
            f" THEN NULLIF({column} -> %s::text, '\"\"'::jsonb) END",
            [*params, self.name, *params, self.name],
        )

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, Any]:
        column, params = compiler.compile(self.source_expressions[0])
        path = f'$."{self.name}"'
        return (
            f"CASE JSON_TYPE({column}, %s) WHEN 'text' THEN 't' || NULLIF(JSON_EXTRACT({column}, %s), '')"
            f" WHEN 'integer' THEN 'n' || CAST(JSON_EXTRACT({column}, %s) AS REAL)"
            f" WHEN 'real' THEN 'n' || JSON_EXTRACT({column}, %s) WHEN 'true' THEN 'y' WHEN 'false' THEN 'z' END",
            [*params, path] * 4,
        )


def ends(column: str, key: str, value: str) -> Q:
    """The key holds a text that ends with `value`; letters as they are written."""
    path = f'$."{key}"'
    return Q(
        Sql(
            column,
            postgres=(
                "COALESCE(jsonb_typeof({col} -> %s::text) = 'string'"
                " AND right({col} ->> %s::text, %s::int) = %s::text, FALSE)",
                [key, key, len(value), value],
            ),
            sqlite=(
                "COALESCE(JSON_TYPE({col}, %s) = 'text' AND SUBSTR(JSON_EXTRACT({col}, %s), %s) = %s, 0)",
                [path, path, -len(value), value],
            ),
        )
    )
