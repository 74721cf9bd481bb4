"""What receivers of providers have in common: bounded raw values, times, natural keys, and what a reply code says
about a mailbox."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from common.text import without_poison

MOST = 1000  # events a call may hold
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")


def kept(event: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of an event: its plain values, bounded, without what no database stores."""
    found: dict[str, Any] = {}
    for name, value in list(event.items())[:50]:
        if isinstance(value, str):
            found[without_poison(str(name))[:64]] = without_poison(value)[:2000]
        elif value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
            found[without_poison(str(name))[:64]] = value
    return found


def time_of(value: Any, now: datetime) -> datetime:
    """The time of an event: ISO 8601 with a zone or seconds since 1970; never later than `now`."""
    if value is None:
        return now
    try:
        at = (
            datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else datetime.fromisoformat(str(value))
        )
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return min(at.astimezone(UTC), now)
    except (ValueError, OverflowError, OSError):
        raise ValueError("an event has no readable time") from None


def natural_key(*parts: str, at: datetime | None = None) -> str:
    """One key for one event, whatever id the provider gives it this time: what it is about, to the second."""
    said = [without_poison(part) for part in parts]
    key = ":".join([*said, str(int(at.timestamp()))] if at is not None else said)
    return key if len(key) <= 255 else f"{key[:180]}:{hashlib.sha256(key.encode()).hexdigest()}"


def is_one_of(given: str, secrets: Sequence[str]) -> bool:
    """Whether the text is one of the secrets; all are compared, in constant time."""
    good = False
    for secret in filter(None, secrets):
        good |= hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
    return good


def bounce_by_status(text: str, *, otherwise: str) -> str:
    """ "hard", "soft" or "other" by the enhanced status code in a reply (RFC 3463): 5.1.x says there is no such
    mailbox, 4.x that it may work later, 5.2.2 that it is full; the rest (5.7.x is policy) says nothing about it.
    `otherwise` when there is no code."""
    found = _STATUS.search(text)
    if found is None:
        return otherwise
    kind, subject, detail = found.groups()
    if kind == "4" or (kind, subject, detail) == ("5", "2", "2"):
        return "soft"
    return "hard" if (kind, subject) == ("5", "1") or (kind, subject, detail) == ("5", "2", "1") else "other"
