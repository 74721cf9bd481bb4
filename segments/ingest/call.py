"""One call as every door hands it on: HTTP, PostHog's form, a file. All is checked; nothing is looked up yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from segments.ingest.limits import Refused

KINDS = frozenset({"identify", "track", "page", "screen", "group", "alias"})
LINKING = frozenset({"identify", "alias"})

# Values that broken code sends as an id; taking them would make one person of many.
NOBODY = frozenset(
    ("anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email", "undefined", "true",
     "false", "null", "none", "nil", "nan", "[object object]", "0", "-1")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traits:
    """What a call says about a person: typed columns that passed their check, and all the rest as it came.

    `once` is kept only where nothing is known yet; `gone` are the names set to null.
    """

    columns: Mapping[str, str | date | datetime] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)
    once: Mapping[str, Any] = field(default_factory=dict)
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderSaid:
    """What a commerce event says of an order; amounts in minor units of `currency`, None where it says nothing."""

    event: str
    order_id: str
    total: int | None
    currency: str
    coupon: str = ""
    items: tuple[Mapping[str, Any], ...] = ()
    refund: int | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One thing said about one person. `key` is unique in its source; `index` is the place in the batch.

    `symmetric`: an alias whose two ids may stand either way round (PostHog's clients differ).
    """

    index: int
    kind: str
    name: str
    key: str
    occurred_at: datetime
    user_id: str = ""
    anonymous_id: str = ""
    previous_id: str = ""
    symmetric: bool = False
    email: str = ""
    phone: str = ""
    live: bool = True
    flags: str = ""
    value: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    traits: Traits | None = None
    utm: Mapping[str, str] = field(default_factory=dict)
    order: OrderSaid | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)


def read_id(row: Mapping[str, Any], name: str, *, most: int = 255) -> str:
    """An id of a row as text, "" when it has none. Raises Refused for other types and for ids that name nobody."""
    value = row.get(name)
    if value is None:
        return ""
    if value.__class__ is not str and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise Refused("wrong_type", name, "an id is text or a whole number")
    text = str(value).strip()
    if len(text) > most:
        raise Refused("id_too_long", name, f"an id may have {most} characters")
    if text.lower() in NOBODY:
        raise Refused("illegal_id", name, f"'{text}' is not the id of anybody")
    return text


def read_object(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object of a row, {} when it has none. Raises Refused for another type."""
    value = row.get(name)
    if value is None:
        return {}
    if value.__class__ is not dict and not isinstance(value, Mapping):
        raise Refused("wrong_type", name, "this is an object")
    found: Mapping[str, Any] = value
    return found
