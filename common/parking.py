"""Work that failed is set aside with its reason, is seen in the admin, and can be tried again.

Whoever parks work registers, under the reader's name, how one item of it is tried again: `retries["heard"]` takes the
subject and `now`, does the work in its own transaction, and raises what it fails with.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from common.models import Parked

Retry = Callable[[str, datetime], None]
retries: dict[str, Retry] = {}
LONGEST = 500


def can_retry(reader: str) -> Callable[[Retry], Retry]:
    """Register how the parked work of a reader is tried again. A second registration of a name raises ValueError."""

    def register(retry: Retry) -> Retry:
        if reader in retries:
            raise ValueError(f"'{reader}' is registered already")
        retries[reader] = retry
        return retry

    return register


def park(reader: str, subject: str, error: Exception, *, now: datetime) -> int:
    """Set one item aside, or count one more failure of it; returns how often it has failed."""
    reason = f"{type(error).__name__}: {error}"[:LONGEST].replace("\x00", "\ufffd")
    row, _made = Parked.objects.get_or_create(reader=reader, subject=subject, defaults={"at": now, "reason": reason})
    row.tries, row.reason, row.at, row.resolved_at, row.resolved_by = row.tries + 1, reason, now, None, ""
    row.save(update_fields=["tries", "reason", "at", "resolved_at", "resolved_by"])
    return row.tries


def resolve(reader: str, subject: str, *, now: datetime, by: str) -> bool:
    """The item is dealt with; False when it was already, or never parked."""
    rows = Parked.objects.filter(reader=reader, subject=subject, resolved_at__isnull=True)
    return bool(rows.update(resolved_at=now, resolved_by=by[:150]))


def retry(item: Parked, *, now: datetime, by: str) -> str:
    """Try an open item again; returns "" once it is done, else why it failed (it then stays parked).

    Raises KeyError for a reader whose work cannot be tried again.
    """
    again = retries[item.reader]
    try:
        again(item.subject, now)
    except Exception as error:  # noqa: BLE001 - it stays parked, with the reason of this try
        park(item.reader, item.subject, error, now=now)
        return f"{type(error).__name__}: {error}"[:LONGEST]
    resolve(item.reader, item.subject, now=now, by=by)
    return ""
