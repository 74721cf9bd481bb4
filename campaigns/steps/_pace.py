"""The pace of journeys: how long a written day lasts, so that rehearsals can walk a fortnight in half a minute."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

DAY = 86_400


def scaled(span: timedelta) -> timedelta:
    """`span` at the installation's pace (settings.DAY_SECONDS seconds for each written day)."""
    return span * (settings.DAY_SECONDS / DAY)
