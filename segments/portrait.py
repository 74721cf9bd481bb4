"""The columns of a person that ingest and merging keep, as one value that can be compared and filled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

PORTRAIT = (
    ("email", "varchar"), ("phone", "varchar"), ("first_name", "varchar"), ("last_name", "varchar"),
    ("locale", "varchar"), ("timezone", "varchar"), ("country", "varchar"), ("city", "varchar"),
    ("gender", "varchar"), ("birthday", "date"), ("registered_at", "timestamptz"), ("traits", "jsonb"),
    ("first_seen_at", "timestamptz"), ("last_seen_at", "timestamptz"),
)  # fmt: skip
FIELDS = tuple(name for name, _ in PORTRAIT)


class Portrait(NamedTuple):
    """The columns of Profile that ingest keeps; `traits` as JSON text."""

    email: str
    phone: str
    first_name: str
    last_name: str
    locale: str
    timezone: str
    country: str
    city: str
    gender: str
    birthday: date | None
    registered_at: datetime | None
    traits: str
    first_seen_at: datetime
    last_seen_at: datetime


def blank_portrait(now: datetime) -> Portrait:
    """Somebody of whom nothing is known yet."""
    return Portrait("", "", "", "", "", "", "", "", "", None, None, "{}", now, now)


_encode = json.JSONEncoder(ensure_ascii=False).encode


def to_text(traits: Mapping[str, Any]) -> str:
    """Traits as the JSON text that both databases store."""
    return _encode(traits)


def differ(before: Portrait, after: Portrait, apart: timedelta) -> bool:
    """Whether anything changed that is worth a write: last seen alone is, once it moved by `apart`."""
    if after.last_seen_at - before.last_seen_at > apart:
        return True
    return before != after._replace(last_seen_at=before.last_seen_at)


def fill_from(before: Portrait, other: Portrait) -> Portrait:
    """The portrait with the gaps filled from another one: a known person's own words win over the visitor's."""
    filled = {name: getattr(before, name) or getattr(other, name) for name in FIELDS[:11]}
    traits = {**json.loads(other.traits), **json.loads(before.traits)}
    return before._replace(
        **filled,
        traits=to_text(traits),
        first_seen_at=min(before.first_seen_at, other.first_seen_at),
        last_seen_at=max(before.last_seen_at, other.last_seen_at),
    )
