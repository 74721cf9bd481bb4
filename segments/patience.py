"""A limit on how long a question may keep the database busy, so that a person who waits is told, not left waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

from common.clock import is_postgres

LONG = 4.0  # seconds that a person or a program waits for one answer about everybody
STEPS = 20_000  # of SQLite's machine between two looks at the time


class TooSlow(Exception):
    """The question took longer than it may; nothing was changed."""


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Let the statements inside take that long each (SQLite: together). Raises TooSlow."""
    if is_postgres():
        with _on_postgres(seconds):
            yield
    else:
        with _on_sqlite(seconds):
            yield


@contextmanager
def _on_postgres(seconds: float) -> Iterator[None]:
    try:
        with transaction.atomic():
            before = _set_limit(f"{int(seconds * 1000)}ms")
            yield
            _set_limit(before)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") == "57014":
            raise TooSlow from error
        raise


def _set_limit(value: str) -> str:
    """Set the limit until the transaction ends; returns the one before."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        before = str(cursor.fetchone()[0])
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [value])
    return before


@contextmanager
def _on_sqlite(seconds: float) -> Iterator[None]:
    connection.ensure_connection()
    raw, end = connection.connection, time.monotonic() + seconds
    raw.set_progress_handler(lambda: int(time.monotonic() > end), STEPS)
    try:
        yield
    except OperationalError as error:
        if "interrupted" in str(error):
            raise TooSlow from error
        raise
    finally:
        raw.set_progress_handler(None, 0)
