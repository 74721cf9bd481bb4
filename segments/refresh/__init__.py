"""Keeping memberships true: only people who may have changed are looked at, and only differences are written."""

from __future__ import annotations

from segments.refresh.run import build_anew, cancel_run, give_rule, refresh_due, refresh_segment
from segments.refresh.task import Refreshed

__all__ = [
    "Refreshed",
    "build_anew",
    "cancel_run",
    "give_rule",
    "refresh_due",
    "refresh_segment",
]
