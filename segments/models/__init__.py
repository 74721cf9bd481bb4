"""The people side of the database: facts below, knowledge above them."""

from __future__ import annotations

from segments.models.coupons import Benefit, Coupon, CouponPool, Grant
from segments.models.facts import Cursor, Event, EventStats, Order
from segments.models.groups import Membership, Segment, SegmentRun
from segments.models.growth import (
    Award,
    Badge,
    Level,
    Mission,
    MissionProgress,
    PointDraw,
    PointEntry,
    PointRule,
    Privilege,
    Wallet,
)
from segments.models.intake import EventProperty, ImportJob, ModelSync, RejectedRow, Source, Trait
from segments.models.known import Health, HealthChange, HealthRules, RfmEdges, Scores, StageChange
from segments.models.merges import Merge
from segments.models.people import Identity, Profile

__all__ = [
    "Award", "Badge", "Benefit", "Coupon", "CouponPool", "Cursor", "Event", "EventProperty", "EventStats", "Grant",
    "Health", "HealthChange", "HealthRules", "Identity", "ImportJob", "Level", "Membership", "Merge", "Mission",
    "MissionProgress", "ModelSync", "Order", "PointDraw", "PointEntry", "PointRule", "Privilege", "Profile",
    "RejectedRow", "RfmEdges", "Scores", "Segment", "SegmentRun", "Source", "StageChange", "Trait", "Wallet",
]  # fmt: skip
