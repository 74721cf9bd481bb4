"""Many rows in one statement on both databases: arrays for PostgreSQL's unnest, JSON for SQLite's json_each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from common.clock import is_postgres
from segments.arrays import literal

Columns = Sequence[tuple[str, str]]  # (name, PostgreSQL type)
Rows = Sequence[Sequence[Any]]


def given(columns: Columns, rows: Rows) -> tuple[str, list[Any]]:
    """SQL of a derived table named `given` that holds the rows, and its parameters. `rows` must not be empty."""
    names = [name for name, _ in columns]
    if is_postgres():
        arrays = [f"%s::{_array(kind)}[]" for _, kind in columns]
        casts = ", ".join(f"{name}::{kind} AS {name}" if kind in CAST else name for name, kind in columns)
        sql = f"(SELECT {casts} FROM unnest({', '.join(arrays)}) AS raw({', '.join(names)})) AS given"
        kinds = (kind for _, kind in columns)
        return sql, [literal(kind, column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]
    fields = ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(names))
    text = json.dumps([list(row) for row in rows], ensure_ascii=False, default=plain)
    return f"(SELECT {fields} FROM json_each(%s)) AS given", [text]


CAST = frozenset({"jsonb"})  # arrays of these travel as text, since their elements hold commas and braces


def insert(table: str, columns: Columns, rows: Rows, *, conflict: str = "", returning: str = "") -> list[Any]:
    """Insert the rows; `conflict` such as "(kind, value) DO NOTHING". Returns what RETURNING returned."""
    source, params = given(columns, rows)
    names = ", ".join(name for name, _ in columns)
    sql = f"INSERT INTO {table} ({names}) SELECT {names} FROM {source} WHERE true"
    sql += f" ON CONFLICT {conflict}" if conflict else ""
    sql += f" RETURNING {returning}" if returning else ""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if returning else []


def update(table: str, columns: Columns, rows: Rows, *, key: str = "id", also: str = "") -> None:
    """Set every column but the first, which holds the key, from the rows; `also` is more SQL for SET."""
    source, params = given(columns, rows)
    sets = ", ".join(f"{name} = given.{name}" for name, _ in columns[1:])
    sets = ", ".join(part for part in (sets, also) if part)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {sets} FROM {source} WHERE {table}.{key} = given.{columns[0][0]}", params)


def _array(kind: str) -> str:
    return "text" if kind in CAST else kind


def plain(value: Any) -> Any:
    """How SQLite's tables hold a value that JSON does not know."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return value.hex
    raise TypeError(f"{type(value).__name__} cannot be stored in bulk")
