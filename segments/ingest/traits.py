"""What is said about a person, sorted into typed columns and the open rest.

A value that fails its column's check (an unknown time zone, a country of five letters) is kept in the rest as it
came: nothing is lost, and nothing broken reaches a sender of messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from common.periods import is_zone
from segments.ingest.call import Traits
from segments.ingest.limits import Refused
from segments.ingest.times import FLOOR, parse_time
from segments.ingest.utm import OURS

Column = str | date | datetime
_EMAIL = re.compile(r"[^@\s,;<>\"()\[\]\\]{1,64}@[^@\s,;<>\"()\[\]\\]+\.[^@\s,;<>\"()\[\]\\.]{2,}")
_LOCALE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?(?:[.@].*)?")
_ALIASES = {"prc": "Asia/Shanghai", "beijing": "Asia/Shanghai", "asia/beijing": "Asia/Shanghai", "utc": "UTC"}
NAMES = {
    "email": "email", "phone": "phone", "firstName": "first_name", "first_name": "first_name",
    "firstname": "first_name", "lastName": "last_name", "last_name": "last_name", "lastname": "last_name",
    "locale": "locale", "language": "locale", "timezone": "timezone", "time_zone": "timezone", "country": "country",
    "city": "city", "gender": "gender", "birthday": "birthday", "createdAt": "registered_at",
    "created_at": "registered_at", "registered_at": "registered_at",
}  # fmt: skip


def read_traits(said: Mapping[str, Any], *, once: Mapping[str, Any] | None = None) -> Traits:
    """Sort what is said; names that are ours ("$utm_…", "@…") are passed over."""
    columns: dict[str, Column] = {}
    rest: dict[str, Any] = {}
    gone: list[str] = []
    for name, value in _flat(said).items():
        if name.startswith((*OURS, "@")):
            continue
        if value is None:
            gone.append(name)
        elif (column := NAMES.get(name)) and (read := CHECKS[column](value)) is not None:
            columns[column] = read
        else:
            rest[name] = value
    allowed = {name: value for name, value in (once or {}).items() if value is not None and not name.startswith("@")}
    return Traits(columns, rest, allowed, tuple(gone))


def with_context(traits: Traits, context: Mapping[str, Any]) -> Traits:
    """The traits with the time zone and locale of the call's context, to be kept where nothing is known yet."""
    found = {name: context[name] for name in ("locale", "timezone") if isinstance(context.get(name), str)}
    return Traits(traits.columns, traits.rest, found | dict(traits.once), traits.gone) if found else traits


def read_email(value: Any) -> str | None:
    """A normalised address: trimmed, lower case, its domain in ASCII; None when it cannot be one."""
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    return text if len(text) <= 254 and _EMAIL.fullmatch(text) else None


def read_phone(value: Any) -> str | None:
    """E.164, from a number that carries its country ("+86 138 0013 8000"); None when it is none."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    return _e164(text) if text.startswith("+") and len(text) <= 30 else None


def read_locale(value: Any) -> str | None:
    """A BCP 47 tag in its usual case: "zh_hans_cn" → "zh-Hans-CN", "en_US.UTF-8" → "en-US"; None when it is none."""
    match = _LOCALE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    language, script, region = match.groups()
    return "-".join(
        part for part in (language.lower(), (script or "").title(), (region or "").upper()) if part
    )  # fmt: skip


@lru_cache(maxsize=1024)
def read_zone(value: Any) -> str | None:
    """An IANA zone, aliases and case mended ("asia/shanghai", "PRC"); None when nobody knows it."""
    if not isinstance(value, str) or not 1 < len(value.strip()) <= 50:
        return None
    text = value.strip()
    for name in (_ALIASES.get(text.lower(), ""), text, text.title().replace(" ", "_")):
        if name and not name.startswith(("/", ".")) and is_zone(name):
            return name
    return None


def _flat(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The traits with country and city of a nested address, and a whole name split, as the spec allows."""
    address, name = said.get("address"), said.get("name")
    if not isinstance(address, Mapping) and not (isinstance(name, str) and "firstName" not in said):
        return said
    found = dict(said)
    if isinstance(address, Mapping):
        for part in ("country", "city"):
            if part not in found and isinstance(address.get(part), str):
                found[part] = address[part]
    if isinstance(name, str) and not found.keys() & {"firstName", "first_name", "lastName", "last_name"}:
        first, _, last = name.strip().partition(" ")
        found |= {"first_name": first} | ({"last_name": last.strip()} if last.strip() else {})
    return found


@lru_cache(maxsize=4096)
def _e164(text: str) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _text(most: int) -> Callable[[Any], str | None]:
    def read(value: Any) -> str | None:
        text = value.strip() if isinstance(value, str) else ""
        return text if 0 < len(text) <= most else None

    return read


def _country(value: Any) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text.upper() if len(text) == 2 and text.isascii() and text.isalpha() else None


def _day(value: Any) -> date | None:
    try:
        found = date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found and found.year >= 1900 else None


def _moment(value: Any) -> datetime | None:
    try:
        at, _ = parse_time(value, "")
    except Refused:
        return None
    return at if at and FLOOR <= at < datetime(2200, 1, 1, tzinfo=UTC) else None


CHECKS: dict[str, Callable[[Any], Column | None]] = {
    "email": read_email, "phone": read_phone, "first_name": _text(100), "last_name": _text(100),
    "locale": read_locale, "timezone": read_zone, "country": _country, "city": _text(100), "gender": _text(20),
    "birthday": _day, "registered_at": _moment,
}  # fmt: skip
