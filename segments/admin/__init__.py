"""The admin of people: who they are, what they did, and the groups they belong to."""

from __future__ import annotations

from segments.admin import coupons, growth, intake, lists, members, missions, sources
from segments.admin.people import ProfileAdmin
from segments.admin.segments import SegmentAdmin

__all__ = ["ProfileAdmin", "SegmentAdmin", "coupons", "growth", "intake", "lists", "members", "missions", "sources"]
