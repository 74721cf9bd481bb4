"""The bulk writes of the engine that the ORM lacks: many rows changed, or inserted once, in one statement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models

from common.clock import is_postgres

BATCH = 1000
Columns = Mapping[str, str]  # column name -> PostgreSQL type, the key first
Row = Sequence[Any]


def update_rows(model: type[models.Model], columns: Columns, rows: Sequence[Row], *, keys: int = 1) -> int:
    """Set the other columns of every row that its first `keys` columns name; returns how many changed."""
    names = list(columns)
    table = model._meta.db_table
    sets = ", ".join(f"{name} = given.{name}" for name in names[keys:])
    match = " AND ".join(f"{table}.{name} = given.{name}" for name in names[:keys])
    changed = 0
    for start in range(0, len(rows), BATCH):
        source, values = _given(columns, rows[start : start + BATCH])
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {sets} FROM {source} WHERE {match}", values)
            changed += cursor.rowcount
    return changed


def insert_rows(
    model: type[models.Model], columns: Columns, rows: Sequence[Row], *, returning: Sequence[str] = ()
) -> list[tuple[Any, ...]]:
    """Insert the rows that break no unique constraint; returns the `returning` columns of those that went in."""
    table, names = model._meta.db_table, ", ".join(columns)
    back = f" RETURNING {', '.join(returning)}" if returning else ""
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(rows), BATCH):
        source, values = _given(columns, rows[start : start + BATCH])
        sql = f"INSERT INTO {table} ({names}) SELECT {names} FROM {source} WHERE true ON CONFLICT DO NOTHING{back}"
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            if returning:
                found += cursor.fetchall()
    return found


def _given(columns: Columns, rows: Sequence[Row]) -> tuple[str, list[Any]]:
    """The rows as a source named `given` with the columns' names, and its parameters."""
    names = ", ".join(columns)
    if is_postgres():
        lists = [_column(kind, [row[n] for row in rows]) for n, kind in enumerate(columns.values())]
        said = ", ".join(f"%s::{'text' if kind == 'jsonb' else kind}[]" for kind in columns.values())
        casts = ", ".join(f"{name}::jsonb" if kind == "jsonb" else name for name, kind in columns.items())
        return f"(SELECT {casts} FROM unnest({said}) AS raw({names})) AS given", lists
    places = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
    flat = [_plain(value) for row in rows for value in row]
    renamed = ", ".join(f"column{n + 1} AS {name}" for n, name in enumerate(columns))
    return f"(SELECT {renamed} FROM (VALUES {places})) AS given", flat


def _column(kind: str, values: list[Any]) -> list[Any]:
    return [_json(value) for value in values] if kind == "jsonb" else values


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return _json(value) if isinstance(value, dict | list) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, cls=DjangoJSONEncoder)
