"""What an operator says about a file: which column means what, and how its times are to be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.params import Invalid, Problem
from common.periods import is_zone
from segments.ingest.limits import Refused
from segments.ingest.times import parse_time
from segments.models import ImportJob

PERSON = ("user_id", "anonymous_id", "email", "phone")
ORDER = (*PERSON, "order_id", "total", "placed_at", "currency", "coupon", "product_id", "quantity", "price")
EVENT = (*PERSON, "event", "timestamp", "message_id")
OPEN = "properties."
_PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Options:
    """How to read one file. `fields`: our field → a column, a ":constant", or a text with {columns} in it."""

    fields: Mapping[str, str] = field(default_factory=dict)
    group_by: str = ""
    shift_days: int = 0
    zone: str = "UTC"
    live_since: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is kept in ImportJob.mapping."""
        return {
            "fields": dict(self.fields),
            "group_by": self.group_by,
            "shift_days": self.shift_days,
            "zone": self.zone,
            "live_since": self.live_since.isoformat() if self.live_since else None,
        }

    @classmethod
    def of_job(cls, job: ImportJob) -> Options:
        said = dict(job.mapping)
        since = said.pop("live_since", None)
        return cls(**said, live_since=datetime.fromisoformat(since) if since else None)

    def columns(self) -> list[str]:
        """The columns of the file that are needed, each once; empty means all of them."""
        found: dict[str, None] = dict.fromkeys([self.group_by] if self.group_by else [])
        for source in self.fields.values():
            found |= dict.fromkeys(columns_in(source))
        return list(found)


def columns_in(source: str) -> list[str]:
    """The columns that a mapped source names: none for a constant, those in braces for a text."""
    if source.startswith(":"):
        return []
    return _PLACE.findall(source) or [source]


def read_map(pairs: Iterable[str]) -> dict[str, str]:
    """["user_id=household_id", "currency=:USD"] as a mapping. Raises Invalid with every wrong pair."""
    found: dict[str, str] = {}
    problems = []
    for pair in pairs:
        name, _, source = pair.partition("=")
        if not name.strip() or not source.strip():
            problems.append(Problem("map", f"'{pair}' is not of the form field=column"))
        found[name.strip()] = source.strip()
    if problems:
        raise Invalid(problems)
    return found


def read_since(text: str) -> datetime:
    """An ISO 8601 time. Raises Invalid."""
    try:
        at, _ = parse_time(text, "live_since")
    except Refused as refused:
        raise Invalid([Problem("live_since", refused.message)]) from None
    if at is None:
        raise Invalid([Problem("live_since", "this lies outside the calendar")])
    return at


def check_options(kind: str, options: Options, columns: Sequence[str]) -> None:
    """Compare with the file's columns (empty for JSONL, whose rows may differ). Raises Invalid with every problem."""
    problems = [Problem("map", f"{kind} have no field '{name}'") for name in options.fields if not _may(kind, name)]
    if columns:
        missing = [name for name in options.columns() if name not in columns]
        problems += [
            Problem("map", f"the file has no column '{name}' (it has: {', '.join(columns)})") for name in missing
        ]
    if not is_zone(options.zone):
        problems.append(Problem("zone", f"'{options.zone}' is not an IANA time zone"))
    given = set(options.fields) or set(columns)
    if given and not given & {*PERSON, "userId", "anonymousId", "distinct_id"}:
        problems.append(Problem("map", f"nothing says who it is: map one of {', '.join(PERSON)}"))
    if kind == ImportJob.Kind.ORDERS and given and not {"order_id", "total"} <= given:
        problems.append(Problem("map", "orders need order_id and total"))
    if options.group_by and kind != ImportJob.Kind.ORDERS:
        problems.append(Problem("group_by", "only lines of orders are grouped"))
    if problems:
        raise Invalid(problems)


def _may(kind: str, name: str) -> bool:
    """Whether a kind of file has that field; people may have any trait."""
    if kind == ImportJob.Kind.PROFILES:
        return not name.startswith(("@", "$"))
    return name.startswith(OPEN) or name in (ORDER if kind == ImportJob.Kind.ORDERS else EVENT)
