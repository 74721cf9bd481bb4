"""The traits seen in the data and the type each seems to have; a type that a person corrected stays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from segments.bulk import insert
from segments.ingest.limits import Refused
from segments.ingest.times import parse_time
from segments.models import Trait

EXAMPLES = 5
FRESH = timedelta(days=1)
COLUMNS = (
    ("key", "varchar"), ("type", "varchar"), ("corrected", "boolean"), ("personal", "boolean"),
    ("first_seen_at", "timestamptz"), ("last_seen_at", "timestamptz"), ("examples", "jsonb"),
)  # fmt: skip
PERSONAL = ("email", "phone", "name", "address", "mobile", "birth", "wechat", "openid", "id_card", "passport")


def type_of(value: Any) -> str:
    """The type of one value: ISO 8601 text of at least a whole date is a date; objects count as text."""
    if isinstance(value, bool):
        return Trait.Type.BOOLEAN
    if isinstance(value, int | float):
        return Trait.Type.NUMBER
    if isinstance(value, list | tuple):
        return Trait.Type.LIST
    if isinstance(value, str) and len(value) >= 10 and value[:4].isdigit() and value[4] == "-":
        try:
            parse_time(value, "")
        except Refused:
            return Trait.Type.STRING
        return Trait.Type.DATE
    return Trait.Type.STRING


def learn(said: Iterable[Mapping[str, Any]], *, now: datetime) -> None:
    """Note every trait that these people have: one query, and one upsert when there is something new.

    A trait whose values disagree (a number here, text there) becomes text, the type that holds all.
    """
    seen: dict[str, list[Any]] = {}
    for traits in said:
        for name, value in traits.items():
            if value is not None and not name.startswith("$"):
                values = seen.setdefault(name, [])
                if len(values) < EXAMPLES or type_of(value) != type_of(values[0]):
                    values.append(value)
    if not seen:
        return
    known = {row.key: row for row in Trait.objects.filter(key__in=sorted(seen))}
    rows = [row for name in sorted(seen) if (row := _row(name, seen[name], known.get(name), now))]
    if rows:
        insert("segments_trait", COLUMNS, rows, conflict=_CONFLICT)


_CONFLICT = (
    "(key) DO UPDATE SET last_seen_at = excluded.last_seen_at, examples = excluded.examples,"
    " type = CASE WHEN segments_trait.corrected THEN segments_trait.type ELSE excluded.type END"
)


def _row(name: str, values: list[Any], known: Trait | None, now: datetime) -> tuple[Any, ...] | None:
    """The row to write, None when the trait is known, of that type, and was seen within a day."""
    types = {type_of(value) for value in values}
    if known is not None:
        types.add(known.type)
        if known.last_seen_at > now - FRESH and (known.corrected or types == {known.type}):
            return None
    found = types.pop() if len(types) == 1 else str(Trait.Type.STRING)
    personal = any(word in name.lower() for word in PERSONAL)
    shown = [] if personal else _examples([*(known.examples if known else []), *values])
    return (name, found, False, personal, now, now, json.dumps(shown, ensure_ascii=False))


def _examples(values: Iterable[Any]) -> list[Any]:
    """Up to five different short values."""
    found: list[Any] = []
    for value in values:
        short = value[:60] if isinstance(value, str) else value
        if short not in found and not isinstance(short, dict | list):
            found.append(short)
    return found[:EXAMPLES]
