"""From a row of a file to the call it stands for, in the words of the Segment spec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import fsum
from typing import Any

from common.periods import resolve, zone
from segments.facts.names import ORDER_COMPLETED
from segments.imports.files import Row
from segments.imports.options import OPEN, PERSON, Options
from segments.ingest.check import MESSAGES, text_problem
from segments.ingest.limits import Refused
from segments.ingest.money import ITEMS
from segments.ingest.read import LINES, order_key
from segments.ingest.traits import CHECKS
from segments.models import ImportJob

NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,9})?")
FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
APART = 50_000
Getter = Callable[[Mapping[str, Any]], Any]
Made = tuple[int, int, Any, Any]  # first line, rows it stands for, the call or Refused, and the row as it was


class RowReader:
    """Turns rows into calls by the operator's mapping."""

    def __init__(self, kind: str, options: Options, *, typed: bool) -> None:
        self.kind, self.options, self.typed = kind, options, typed
        self.tz = zone(options.zone)
        self.shift = timedelta(days=options.shift_days)
        self.take = {name: _getter(source) for name, source in options.fields.items()}
        self.total = self.take.get("total", _getter("total"))
        wanted = [name for name in ("product_id", "quantity", "price") if name in self.take or not self.take]
        self.items = [(name, self.take.get(name, _getter(name))) for name in wanted]

    def calls(self, rows: Iterator[Row]) -> Iterator[Made]:
        """One call for each row, or for each group of lines of one order that follow each other."""
        if self.options.group_by:
            yield from self._grouped(rows)
            return
        make = {
            ImportJob.Kind.PROFILES: self._profile,
            ImportJob.Kind.ORDERS: lambda row: self._order([row]),
            ImportJob.Kind.EVENTS: self._event,
        }[ImportJob.Kind(self.kind)]
        for line, row in rows:
            yield line, 1, _made(make, row), row

    def _grouped(self, rows: Iterator[Row]) -> Iterator[Made]:
        """Lines of one order must be neighbours; one that appears again (within the last 50,000) is refused."""
        seen: dict[Any, None] = {}
        lines: list[Any] = []
        current: Any = None
        first = 0
        for line, row in rows:
            key = row if isinstance(row, Refused) else row.get(self.options.group_by)
            if lines and key != current:
                yield first, len(lines), self._group(lines, current, seen), lines[0]
                lines = []
            if not lines:
                first, current = line, key
            lines.append(row)
        if lines:
            yield first, len(lines), self._group(lines, current, seen), lines[0]

    def _group(self, lines: list[Any], key: Any, seen: dict[Any, None]) -> Any:
        if isinstance(key, Refused):
            return key
        if key in seen:
            return Refused(
                "lines_apart", self.options.group_by, f"lines of {key} do not follow each other: sort the file"
            )
        seen[key] = None
        if len(seen) > APART:
            del seen[next(iter(seen))]
        return _made(self._order, lines)

    def _profile(self, row: Mapping[str, Any]) -> dict[str, Any]:
        said = self._fields(row)
        traits = {name: self._plain(value) for name, value in said.items() if name not in ("user_id", "anonymous_id")}
        return {"type": "identify", **_who(said), "traits": {n: v for n, v in traits.items() if v is not None}}

    def _event(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if not self.take and "event" not in row and "type" not in row:
            raise Refused("missing_event", "event", "a row names its event")
        if not self.take and ("userId" in row or "anonymousId" in row or "distinct_id" in row):
            return {"type": "track", **row} if "distinct_id" not in row else dict(row)
        said = self._fields(row)
        call = {"type": "track", **_who(said), **_reached(said), "event": said.get("event")}
        call["properties"] = self._open(said)
        if said.get("message_id"):
            call["messageId"] = str(said["message_id"])
        return call | self._time(said.get("timestamp"), "timestamp")

    def _order(self, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
        """One order from its line or lines: the total is their sum, each line an item."""
        said = self._fields(rows[0])
        properties = {
            **self._open(said),
            "order_id": _id(said.get("order_id")),
            "total": _sum([self.total(row) for row in rows]),
        }
        for name in ("currency", "coupon"):
            if name in said:
                properties[name] = said[name]
        call = {"type": "track", "event": ORDER_COMPLETED, **_who(said), **_reached(said), "properties": properties}
        call["messageId"] = order_key(str(properties["order_id"]))
        if self.items and "product_id" in said:
            call[LINES] = [_item(self.items, row) for row in rows[:ITEMS]]
        return call | self._time(said.get("placed_at"), "placed_at")

    def _fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Our fields of the row; what is empty or NaN is not said."""
        taken = {name: get(row) for name, get in self.take.items()} if self.take else row
        return {name: value for name, value in taken.items() if value is not None and value != "" and value == value}

    def _open(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The open properties: those mapped as "properties.x", or without a mapping all that is no field of ours."""
        if self.take:
            return {name[len(OPEN) :]: self._plain(value) for name, value in said.items() if name.startswith(OPEN)}
        known = (*PERSON, "event", "timestamp", "message_id", "order_id", "total", "placed_at", "currency", "coupon")
        return {name: self._plain(value) for name, value in said.items() if name not in known}

    def _time(self, value: Any, name: str) -> dict[str, Any]:
        if value is None:
            return {}
        at = value if isinstance(value, datetime) else _parse(value, name)
        try:
            if at.tzinfo is None:
                at = (
                    (at + self.shift).replace(tzinfo=UTC)
                    if self.options.zone == "UTC"
                    else resolve(at + self.shift, self.tz)
                )
            else:
                at = at + self.shift
        except OverflowError:
            raise Refused("bad_timestamp", name, "this lies outside the calendar") from None
        return {"timestamp": at.isoformat()}

    def _plain(self, value: Any) -> Any:
        """A value as JSON has it; text of a CSV is read as a number or yes or no where it can be nothing else."""
        if isinstance(value, str):
            return value if self.typed else _from_text(value)
        if isinstance(value, datetime | date):
            return value.isoformat()
        return float(value) if isinstance(value, Decimal) else value


def _getter(source: str) -> Getter:
    """How to take a mapped source from a row: a constant, a text with {columns}, or a column."""
    if source.startswith(":"):
        return lambda row: source[1:]
    if "{" in source:
        return lambda row: re.sub(r"\{([^{}]+)\}", lambda place: str(row.get(place[1], "")), source)
    return lambda row: row.get(source)


def _item(items: list[tuple[str, Getter]], row: Mapping[str, Any]) -> dict[str, Any]:
    """One line of an order. Raises Refused for text that no database stores."""
    found = {name: value for name, get in items if (value := get(row)) is not None}
    for name, value in found.items():
        if isinstance(value, str) and (problem := text_problem(value)):
            raise Refused(problem, name, MESSAGES[problem])
    return found


def _made(make: Callable[[Any], dict[str, Any]], row: Any) -> Any:
    if isinstance(row, Refused):
        return row
    try:
        return make(row)
    except Refused as refused:
        return refused


def _who(said: Mapping[str, Any]) -> dict[str, Any]:
    names = {"userId": "user_id", "anonymousId": "anonymous_id", "email": "email", "phone": "phone"}
    return {theirs: _id(said[ours]) for theirs, ours in names.items() if said.get(ours) is not None}


def _reached(said: Mapping[str, Any]) -> dict[str, Any]:
    """Address and number of an order or event, which the person takes where none is known: it says what was used
    then, which is no reason to change what is known now."""
    found = {name: said[name] for name in ("email", "phone") if CHECKS[name](said.get(name)) is not None}
    return {"traitsOnce": found} if found else {}


def _id(value: Any) -> Any:
    """Ids as text: 12.0 of a column with gaps is 12."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str | bool | dict | list) or value is None else str(value)


def _sum(values: list[Any]) -> Any:
    """The sum of the lines' amounts in major units; text is added exactly, floats without drift."""
    if len(values) == 1:
        return str(values[0]) if isinstance(values[0], Decimal) else values[0]
    try:
        if all(isinstance(value, float | int) for value in values):
            return round(fsum(values), 6)
        return str(sum(Decimal(str(value)) for value in values))
    except (ArithmeticError, ValueError):
        raise Refused("bad_amount", "total", "a line has no amount, or one that is none") from None


def _parse(value: Any, name: str) -> datetime:
    text = str(value).strip()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in FORMATS:
        try:
            return datetime.strptime(text.replace("/", "-"), form)  # noqa: DTZ007 - the zone is the operator's
        except ValueError:
            continue
    raise Refused("bad_timestamp", name, f"'{text[:40]}' is no time")


def _from_text(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text
