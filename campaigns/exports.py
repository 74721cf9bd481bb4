"""A finished report as CSV and as plain data for JSON: the same table that the page shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from campaigns.reports import Column, Table
from common.money import to_major
from common.text import formula_safe, say

BOM = "\ufeff"  # without it spreadsheets misread Chinese


def table_csv(table: Table, language: str = "en") -> Iterator[str]:
    """The table as CSV lines: titles, rows, the total, an empty line, then what must be printed with it.

    Money in major units without a currency sign, shares as fractions, intervals as two columns; no cell can run
    as a formula.
    """
    yield BOM + _line(title for column in table.columns for title in _titles(column, table.currency, language))
    for row in [*table.rows, *([table.total] if table.total else [])]:
        yield _line(cell for column in table.columns for cell in _cells(column, row, table.currency))
    yield _line([])
    for english, chinese in [*table.refusals, table.meaning, *table.notes]:
        yield _line([f"# {say(english, chinese, language)}"])


def table_data(table: Table, language: str = "en") -> dict[str, Any]:
    """The table as JSON-ready data: money in minor units of `currency`, shares as fractions, intervals as pairs."""

    def words(pairs: Any) -> list[str]:
        return [say(english, chinese, language) for english, chinese in pairs]

    return {
        "columns": [
            {"key": column.key, "title": say(column.title, column.title_zh, language), "kind": column.kind}
            for column in table.columns
        ],
        "rows": [_plain(table, row) for row in table.rows],
        "total": _plain(table, table.total) if table.total else None,
        "currency": table.currency,
        "meaning": say(*table.meaning, language),
        "notes": words(table.notes),
        "refusals": words(table.refusals),
    }


def _plain(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column.key: list(value) if isinstance(value := row.get(column.key), tuple) else value
        for column in table.columns
    }


def _titles(column: Column, currency: str, language: str) -> list[str]:
    title = say(column.title, column.title_zh, language)
    if column.kind == "interval":
        return [f"{title} {say('low', '下限', language)}", f"{title} {say('high', '上限', language)}"]
    return [f"{title} ({currency})" if column.kind == "money" else title]


def _cells(column: Column, row: Mapping[str, Any], currency: str) -> list[Any]:
    value = row.get(column.key)
    if column.kind == "interval":
        return list(value) if value else ["", ""]
    if column.kind == "money" and value is not None:
        return [to_major(value, currency)]
    return [value]


def _line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([formula_safe(cell) for cell in cells])
    return out.getvalue()
