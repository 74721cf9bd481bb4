"""Whether a commit survives a crash: the marker before the first byte depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from common import clock
from config.doctor import Finding, amber, exam, red


@exam("P003")
def durability(at: datetime) -> Iterator[Finding]:
    postgres = clock.is_postgres()
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit" if postgres else "PRAGMA synchronous")
        kept = str(cursor.fetchone()[0])
        journal = "" if postgres else _pragma(cursor, "journal_mode")
    if kept in ("off", "0", "1"):
        yield red("P003", _("commits are not durable (synchronous: %s)") % kept, _("set it on (SQLite: FULL)"))
    if journal not in ("", "wal", "memory"):
        yield amber("P003", _("SQLite's journal is '%s', not WAL") % journal, "PRAGMA journal_mode=WAL")


def _pragma(cursor: Any, name: str) -> str:
    cursor.execute(f"PRAGMA {name}")
    return str(cursor.fetchone()[0])
