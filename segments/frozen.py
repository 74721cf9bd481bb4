"""Rows as JSON and back, exactly: what a merge drops it keeps so, and what an export tells it tells so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet

PIECE = 500


def freeze(rows: QuerySet[Any]) -> list[dict[str, Any]]:
    """Every column of the rows, as JSON has it."""
    return [freeze_row(row) for row in rows.values()]


def freeze_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of `values()`, as JSON has it; times keep their microseconds."""
    return {name: _plain(value) for name, value in row.items()}


def thaw(model: type[Model], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write frozen rows again under their old keys; one whose place is taken by now stays away."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    made = [
        model(**{name: fields[name].to_python(value) for name, value in row.items() if name in fields}) for row in rows
    ]
    model._default_manager.bulk_create(made, ignore_conflicts=True, batch_size=PIECE)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID | Decimal) else value
