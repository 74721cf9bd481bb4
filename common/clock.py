"""The only places where the clock is read: the edges' `now`, and the database's for leases and slots."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


def now() -> datetime:
    """The current instant, UTC. Called by edges only; everything below them is handed a `now`."""
    return datetime.now(UTC)


def is_postgres(using: str = "default") -> bool:
    return connections[using].vendor == "postgresql"


def database_now(using: str = "default") -> datetime:
    """The database's wall clock (clock_timestamp, not the transaction's start), UTC; for leases and slots."""
    connection: BaseDatabaseWrapper = connections[using]
    if connection.vendor != "postgresql":
        return now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        stamp: datetime = cursor.fetchone()[0]
    return stamp.astimezone(UTC)
