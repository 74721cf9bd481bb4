"""Waiting until the log is final: on PostgreSQL any open transaction of the cluster holds the horizon back."""

from __future__ import annotations

import time

from django.db import connection
from django.db.models import Max

from segments.facts.position import horizon
from segments.models import Event


def settle_log(seconds: float = 200) -> None:
    """Return once every fact lies at or below the horizon."""
    if connection.vendor != "postgresql":
        return
    end = time.monotonic() + seconds
    while (Event.objects.aggregate(last=Max("tx"))["last"] or 0) > horizon().tx:
        assert time.monotonic() < end, "another transaction of this cluster has been open for too long"
        time.sleep(0.02)
