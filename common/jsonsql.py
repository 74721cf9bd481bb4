"""Questions about one key of a JSON column; equality on PostgreSQL is containment, which the GIN index serves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from common.semijoin import Sql

Scalar = str | bool | int | float
_TYPES = "jsonb_typeof({col} -> %s::text)"


def equals(column: str, key: str, value: Scalar) -> Q:
    """The key holds this very value: text is not a number, and true is not 1."""
    path = _path(key)
    sqlite: tuple[str, list[Any]]
    if isinstance(value, bool):
        sqlite = ("COALESCE(JSON_TYPE({col}, %s) = %s, 0)", [path, "true" if value else "false"])
    elif isinstance(value, str):
        sqlite = ("COALESCE(JSON_TYPE({col}, %s) = 'text' AND JSON_EXTRACT({col}, %s) = %s, 0)", [path, path, value])
    else:
        sqlite = (_NUMBER_SQLITE.format(sign="="), [path, path, value])
    return Q(Sql(column, postgres=_contains({key: value}), sqlite=sqlite))


def equals_any(column: str, key: str, values: Sequence[Scalar]) -> Q:
    """The key holds one of these very values: one condition however many they are, since a database bounds how deep
    a chain of ORs may be (SQLite: 1,000)."""
    if len(values) == 1:
        return equals(column, key, values[0])
    path, held = _path(key), "JSON_EXTRACT({col}, %s) IN (SELECT value FROM json_each(%s))"
    truths = [str(value).lower() for value in values if isinstance(value, bool)]
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, bool | str)]
    sqlite = (
        "COALESCE(CASE JSON_TYPE({col}, %s)"
        f" WHEN 'text' THEN {held} WHEN 'integer' THEN {held} WHEN 'real' THEN {held}"
        " WHEN 'true' THEN %s WHEN 'false' THEN %s END, 0)"
    )
    told = [path, path, json.dumps(texts), *[path, json.dumps(numbers)] * 2, "true" in truths, "false" in truths]
    each = [json.dumps({key: value}, ensure_ascii=False) for value in values]
    return Q(Sql(column, postgres=("{col} @> ANY(%s::jsonb[])", [each]), sqlite=(sqlite, told)))


def has_element(column: str, key: str, value: Scalar) -> Q:
    """The key holds a list with this value in it."""
    kinds = ("true",) if value is True else ("false",) if value is False else _KINDS[type(value)]
    test = "1" if isinstance(value, bool) else "value = %s"
    given = [] if isinstance(value, bool) else [value]
    marks = ", ".join(["%s"] * len(kinds))
    sqlite = (
        f"EXISTS (SELECT 1 FROM json_each({{col}}, %s) WHERE JSON_TYPE({{col}}, %s) = 'array'"
        f" AND type IN ({marks}) AND {test})",
        [_path(key), _path(key), *kinds, *given],
    )
    return Q(Sql(column, postgres=_contains({key: [value]}), sqlite=sqlite))


def contains_some(column: str, key: str, values: Sequence[Scalar], *, every: bool) -> Q:
    """The key holds a text that contains one (or `every` one) of the values, letters as they are written, or a list
    that has it: one condition however many values there are."""
    path, words = _path(key), [value for value in values if isinstance(value, str)]
    wanted = "NOT EXISTS (SELECT 1 FROM {} WHERE NOT {})" if every else "EXISTS (SELECT 1 FROM {} WHERE {})"
    within = wanted.format("unnest(%s::text[]) AS word", "(strpos({col} ->> %s::text, word) > 0)")
    listed = [json.dumps({key: [value]}, ensure_ascii=False) for value in values]
    postgres = (
        f"({{col}} @> {'ALL' if every else 'ANY'}(%s::jsonb[])"
        f" OR COALESCE({_TYPES} = 'string' AND %s AND {within}, FALSE))"
    )
    told = [listed, key, not every or len(words) == len(values), words, key]
    sqlite = wanted.format("json_each(%s) AS word", f"({_HELD_SQLITE})")
    return Q(
        Sql(column, postgres=(postgres, told), sqlite=(sqlite, [json.dumps(values, ensure_ascii=False), *[path] * 3]))
    )


def list_has(column: str, value: str) -> Q:
    """The column itself is a list with this text in it."""
    return Q(
        Sql(
            column,
            postgres=_contains([value]),
            sqlite=("EXISTS (SELECT 1 FROM json_each({col}) WHERE value = %s)", [value]),
        )
    )


def is_set(column: str, key: str) -> Q:
    """The key is there, and neither null nor an empty text."""
    return Q(
        Sql(
            column,
            postgres=("COALESCE({col} -> %s::text NOT IN ('null'::jsonb, '\"\"'::jsonb), FALSE)", [key]),
            sqlite=(
                "COALESCE(JSON_TYPE({col}, %s) <> 'null' AND JSON_EXTRACT({col}, %s) IS NOT '', 0)",
                [_path(key), _path(key)],
            ),
        )
    )


def number(column: str, key: str, sign: str, value: float) -> Q:
    """The key holds a number that is <, <=, > or >= `value`."""
    assert sign in ("<", "<=", ">", ">=")
    postgres = f"COALESCE({_TYPES} = 'number' AND {{col}} -> %s::text {sign} %s::jsonb, FALSE)"
    return Q(
        Sql(
            column,
            postgres=(postgres, [key, key, json.dumps(value)]),
            sqlite=(_NUMBER_SQLITE.format(sign=sign), [_path(key), _path(key), value]),
        )
    )


def text(column: str, key: str, value: str, *, start: bool) -> Q:
    """The key holds a text that contains `value`, or starts with it; letters as they are written."""
    test = "= 1" if start else "> 0"
    postgres = f"COALESCE({_TYPES} = 'string' AND strpos({{col}} ->> %s::text, %s) {test}, FALSE)"
    sqlite = f"COALESCE(JSON_TYPE({{col}}, %s) = 'text' AND INSTR(JSON_EXTRACT({{col}}, %s), %s) {test}, 0)"
    path = _path(key)
    return Q(Sql(column, postgres=(postgres, [key, key, value]), sqlite=(sqlite, [path, path, value])))


def day(column: str, key: str, *, low: str = "0000-00-00", high: str = "9999-99-99") -> Q:
    """The key holds a text that begins with a date, low <= date <= high, as it is written (ISO 8601)."""
    path = _path(key)
    return Q(
        Sql(
            column,
            postgres=(
                f"COALESCE({_TYPES} = 'string' AND {{col}} ->> %s::text ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}'"
                ' AND left({col} ->> %s::text, 10) COLLATE "C" BETWEEN %s AND %s, FALSE)',
                [key, key, key, low, high],
            ),
            sqlite=(f"COALESCE({_DATE_SQLITE} AND {_DAY_SQLITE} BETWEEN %s AND %s, 0)", [path] * 3 + [low, high]),
        )
    )


def month_day(column: str, key: str, dates: list[str]) -> Q:
    """The key holds a date whose month and day ("02-29") is one of `dates`."""
    path, marks = _path(key), ", ".join(["%s"] * len(dates))
    return Q(
        Sql(
            column,
            postgres=(
                f"COALESCE({_TYPES} = 'string' AND {{col}} ->> %s::text ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}'"
                f" AND substr({{col}} ->> %s::text, 6, 5) IN ({marks}), FALSE)",
                [key, key, key, *dates],
            ),
            sqlite=(
                f"COALESCE({_DATE_SQLITE} AND SUBSTR(JSON_EXTRACT({{col}}, %s), 6, 5) IN ({marks}), 0)",
                [path] * 3 + dates,
            ),
        )
    )


_KINDS: dict[type, tuple[str, ...]] = {str: ("text",), int: ("integer", "real"), float: ("integer", "real")}
_NUMBER_SQLITE = "COALESCE(JSON_TYPE({{col}}, %s) IN ('integer', 'real') AND JSON_EXTRACT({{col}}, %s) {sign} %s, 0)"
_HELD_SQLITE = (
    "CASE JSON_TYPE({col}, %s)"
    " WHEN 'text' THEN word.type = 'text' AND INSTR(JSON_EXTRACT({col}, %s), word.value) > 0"
    " WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each({col}, %s) AS held WHERE held.value = word.value"
    " AND (held.type = word.type OR held.type IN ('integer', 'real') AND word.type IN ('integer', 'real')))"
    " ELSE 0 END"
)
_DATE_SQLITE = (
    "JSON_TYPE({col}, %s) = 'text' AND JSON_EXTRACT({col}, %s) GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
)
_DAY_SQLITE = "SUBSTR(JSON_EXTRACT({col}, %s), 1, 10)"


def _contains(value: Any) -> tuple[str, list[Any]]:
    return "{col} @> %s::jsonb", [json.dumps(value, ensure_ascii=False)]


def _path(key: str) -> str:
    return f'$."{key}"'
