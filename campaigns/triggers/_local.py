"""Slots of a wall time that comes to everybody where they live: it opens where the day begins first."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from django.conf import settings

from common.periods import resolve, zone

RECIPIENT = "recipient"
FIRST, LAST = ZoneInfo("Etc/GMT-14"), ZoneInfo("Etc/GMT+12")  # where a day begins first and last


def opens(day: date, at: time) -> datetime:
    """The slot of a local wall time: when it comes to the first people on earth."""
    return resolve(datetime.combine(day, at), FIRST)


def closes(day: date, at: time) -> datetime:
    """When it comes to the last."""
    return resolve(datetime.combine(day, at), LAST)


def wall_of(slot: datetime) -> datetime:
    """The wall time that a local slot stands for."""
    return slot.astimezone(FIRST).replace(tzinfo=None)


def moment_of(slot: datetime, timezone: str) -> datetime:
    """When a local slot comes to a person in that zone (the workspace's when unknown)."""
    return resolve(wall_of(slot), zone(timezone or settings.WORKSPACE_ZONE, fallback=settings.WORKSPACE_ZONE))
