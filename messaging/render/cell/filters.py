"""The filters and tests of templates: pure, bounded in what they return, and by locale where people differ."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import wraps
from typing import Any, cast
from urllib.parse import quote

from jinja2 import pass_context
from jinja2.runtime import Context, Undefined
from jinja2.tests import TESTS as STOCK_TESTS
from markupsafe import Markup, escape

from common.money import exponent
from common.naming import full_name

from .limits import NUMBER, TEXT, Refused
from .readers import Reader, grouped, reader_of
from .zones import zone_of

Filter = Callable[..., Any]
FILTERS: dict[str, Filter] = {}
TESTS: dict[str, Callable[..., Any]] = {
    name: cast("Callable[..., Any]", STOCK_TESTS[name])
    for name in (
        "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping",
        "sequence", "iterable", "odd", "even", "divisibleby", "in", "eq", "equalto", "ne", "lt", "lessthan", "le", "gt",
        "greaterthan", "ge",
        "==", "!=", "<", "<=", ">", ">=",
    )
}  # fmt: skip
SYMBOLS = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "KRW": "₩", "INR": "₹", "CNY": "CN¥", "HKD": "HK$", "TWD": "NT$",
    "AUD": "A$", "CAD": "CA$", "NZD": "NZ$", "BRL": "R$", "MXN": "MX$", "ILS": "₪", "VND": "₫", "PHP": "₱",
}  # fmt: skip
CHINESE_SYMBOLS = {
    "CNY": "¥",
    "USD": "US$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "JP¥",
    "HKD": "HK$",
    "TWD": "NT$",
    "KRW": "₩",
}


def bounded(function: Filter) -> Filter:
    """Refuse text longer than one filter may return."""

    @wraps(function)
    def limited(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        if isinstance(value, str) and len(value) > TEXT:
            raise Refused(f"a filter returned more than {TEXT // 1024} KiB")
        return value

    return limited


def named(*names: str) -> Callable[[Filter], Filter]:
    """Register a filter under its names."""

    def register(function: Filter) -> Filter:
        FILTERS.update(dict.fromkeys(names, bounded(function)))
        return function

    return register


def text_of(value: Any) -> str:
    """A value as text; a missing or empty one fails here, by the rules of Missing."""
    if isinstance(value, Mapping | list | tuple):
        raise Refused("a list or a group of values is not text")
    return str(value)


@named("default", "d")
def default(value: Any, instead: Any = "", falsy: bool = False) -> Any:
    """The value, or another one when it is missing or empty (with true: when it is "", 0 or [] as well)."""
    return instead if isinstance(value, Undefined) or value is None or (falsy and not value) else value


@named("upper")
def upper(value: Any) -> str:
    return text_of(value).upper()


@named("lower")
def lower(value: Any) -> str:
    return text_of(value).lower()


@named("capitalize")
def capitalize(value: Any) -> str:
    return text_of(value).capitalize()


@named("title")
def title(value: Any) -> str:
    return text_of(value).title()


@named("trim")
def trim(value: Any) -> str:
    return text_of(value).strip()


@named("string")
def string(value: Any) -> str:
    return text_of(value)


@named("escape", "e")
def escaped(value: Any) -> Markup:
    return escape(text_of(value))


@named("truncate")
def truncate(value: Any, length: int = 80, end: str = "…") -> str:
    """At most `length` characters, the last of them `end` when something was cut."""
    text = text_of(value)
    length = max(int(length), len(end))
    return text if len(text) <= length else text[: length - len(end)].rstrip() + end


@named("replace")
def replace(value: Any, old: str, new: str) -> str:
    text, old, new = text_of(value), str(old), str(new)
    if not old:
        raise Refused("replace needs something to look for")
    if len(text) + text.count(old) * (len(new) - len(old)) > TEXT:
        raise Refused(f"a filter returned more than {TEXT // 1024} KiB")
    return str(text).replace(old, new)


@named("join")
def join(value: Any, between: str = "") -> str:
    texts = [text_of(one) for one in _listed(value)]
    between = str(between)
    if sum(map(len, texts)) + len(between) * len(texts) > TEXT:
        raise Refused(f"a filter returned more than {TEXT // 1024} KiB")
    return between.join(map(str, texts))


@named("length", "count")
def length(value: Any) -> int:
    if not isinstance(value, str | Mapping | list | tuple):
        raise Refused("only text and lists have a length")
    return len(value)


@named("first")
def first(value: Any) -> Any:
    return next(iter(_listed(value)), None)


@named("last")
def last(value: Any) -> Any:
    return next(iter(_listed(value)[-1:]), None)


@named("urlencode")
def urlencode(value: Any) -> str:
    """Percent-encode text for the path or query of a link; "/" stays."""
    return quote(text_of(value).encode("utf-8", "replace"), safe="/")


@named("int")
def whole(value: Any, instead: int = 0) -> int:
    try:
        return int(_number(value))
    except (Refused, OverflowError, ValueError):
        return instead


@named("float")
def broken(value: Any, instead: float = 0.0) -> float:
    try:
        return float(_number(value))
    except (Refused, OverflowError, ValueError):
        return instead


@named("abs")
def absolute(value: Any) -> Any:
    return abs(_number(value))


@named("round")
def rounded(value: Any, digits: int = 0) -> Any:
    digits = min(max(int(digits), 0), 6)
    result = round(_number(value), digits)
    return result if digits else int(result)


@named("number")
@pass_context
def number(context: Context, value: Any, digits: int | None = None) -> str:
    """12345.5 → "12,345.5", for de "12.345,5"; `digits` after the point, as many as there are when left out."""
    return grouped(_number(value), None if digits is None else min(max(int(digits), 0), 6), _reader(context))


@named("money")
@pass_context
def money(context: Context, minor: Any, currency: str = "") -> str:
    """Minor units to a price as the reader writes it: 1250 → "$12.50", for zh "US$12.50", for de "12,50 $"; the
    currency is the workspace's when left out."""
    amount = _number(minor)
    brand = context.get("brand")
    code = str(currency or (brand.get("currency", "") if isinstance(brand, dict) else ""))
    digits = exponent(code)
    symbol = (CHINESE_SYMBOLS if language(context) == "zh" else SYMBOLS).get(code)
    reader = _reader(context)
    shown = grouped(abs(amount) / 10**digits, digits, reader)
    minus = "-" if amount < 0 else ""
    price = reader.price.format(a=shown, s=symbol) if symbol else f"{shown} {code}".rstrip()
    return f"{minus}{price}"


@named("date")
@pass_context
def day(context: Context, value: Any, form: str = "long", zone: str = "") -> str:
    """A day as the reader writes it, where the reader is. `form`: long "2 March 2026" (en-US "March 2, 2026", zh
    "2026年3月2日"), short "2 Mar", "3月2日", or iso "2026-03-02"; `zone` an IANA name instead of the reader's."""
    at = _there(context, value, zone)
    return f"{at.year:04d}-{at.month:02d}-{at.day:02d}" if _is_iso(form, "date") else _day(at, form, _reader(context))


@named("time")
@pass_context
def clock(context: Context, value: Any, zone: str = "") -> str:
    """Hours and minutes as the reader writes them, where the reader is: "14:05", for en-US "2:05 PM"."""
    return _clock(_there(context, value, zone), _reader(context))


@named("datetime")
@pass_context
def moment(context: Context, value: Any, form: str = "long", zone: str = "") -> str:
    """Day and time together: "2 March 2026, 14:05", zh "2026年3月2日 14:05"; iso "2026-03-02T14:05+08:00"."""
    at, reader = _there(context, value, zone), _reader(context)
    if _is_iso(form, "datetime"):
        return at.isoformat(timespec="minutes") if isinstance(at, datetime) else at.isoformat()
    return f"{_day(at, form, reader)}{reader.between}{_clock(at, reader)}"


def _is_iso(form: str, name: str) -> bool:
    if form not in ("long", "short", "iso"):
        raise Refused(f"{name} knows long, short and iso, not '{str(form)[:20]}'")
    return form == "iso"


def _day(at: date, form: str, reader: Reader) -> str:
    names = reader.brief if form == "short" and reader.brief else reader.months
    written = reader.short if form == "short" else reader.long
    return written.format(d=at.day, m=at.month, n=names[at.month - 1], y=at.year)


def _clock(at: date, reader: Reader) -> str:
    hour, minute = (at.hour, at.minute) if isinstance(at, datetime) else (0, 0)
    half = reader.halves[hour // 12] if reader.halves else ""
    return reader.clock.format(h=f"{hour:02d}", k=hour % 12 or 12, m=f"{minute:02d}", half=half)


@named("name")
@pass_context
def name(context: Context, person: Any, instead: str = "") -> str:
    """A person's name in the order of the reader's language; another word for who has none."""
    if not isinstance(person, Mapping):
        raise Refused("name is for a person: {{ profile | name }}")
    given, family = (str(person.get(part) or "") for part in ("first_name", "last_name"))
    return full_name(given, family, language(context)) or str(instead)


@named("json")
def as_json(value: Any) -> str:
    """A value as JSON, for the body of a webhook: text comes with its quotes, and nothing in it can end them."""
    if isinstance(value, Undefined):
        text_of(value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("</", "<\\/")


@named("plain")
def plain(value: Any) -> str:
    """Text without tags and entities, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^<>]{0,2000}>", " ", text_of(value))).split())


def language(context: Context) -> str:
    """The language of the reader, "zh" or "en" …"""
    return str(context.get("locale") or "en").replace("_", "-").split("-")[0].lower()


def _reader(context: Context) -> Reader:
    """How the reader writes numbers and days."""
    return reader_of(str(context.get("locale") or "en"))


def _there(context: Context, value: Any, zone: str) -> date:
    """A moment on the clock of a zone: the one that is asked for, the reader's, or the workspace's. A day without a
    time, and a time that says no offset, stay as they are written."""
    at = _moment(value)
    wanted = zone_of(str(zone))
    if zone and wanted is None:
        raise Refused("there is no such time zone")  # its name may be a person's own
    if not isinstance(at, datetime) or at.tzinfo is None:
        return at
    try:
        return at.astimezone(wanted or _own_zone(context))
    except (OverflowError, ValueError):
        raise Refused("this is not a date") from None


def _own_zone(context: Context) -> tzinfo:
    for root in ("profile", "brand"):
        known = context.get(root)
        name = known.get("timezone") if isinstance(known, dict) else None
        if isinstance(name, str) and (found := zone_of(name)):
            return found
    return UTC


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple | str):
        return value
    raise Refused("this is not a list")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Refused("this is not a number")
    if isinstance(value, str):
        try:
            value = float(value) if len(value) < 40 else NUMBER * 10
        except ValueError:
            raise Refused("this is not a number") from None
        value = int(value) if value == value and abs(value) < NUMBER and value == int(value) else value
    if not abs(value) <= NUMBER:
        raise Refused("a number is too large")
    return value


def _moment(value: Any) -> date:
    """A date or time from ISO 8601 text or seconds since 1970. Raises Refused."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, tz=UTC)
        text = text_of(value).strip()
        return datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise Refused("this is not a date") from None
