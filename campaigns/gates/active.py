"""Still active: no message goes out for a walk that was left, or a journey that was closed or stands still."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db.models import OuterRef, Subquery

from campaigns.models import Enrolment, Journey
from messaging.gates import Gate, Row, Ruling, Verdict, gates

LOOK_AGAIN = timedelta(minutes=5)


@gates.register("active")
class StillActive(Gate):
    """Cancels for those who left by an exit, a goal or an erasure, and for archived journeys; holds while a
    journey is paused. A walk that came to its end keeps the messages that it planned."""

    key: ClassVar[str] = "active"
    order: ClassVar[int] = 40
    classes: ClassVar[frozenset[str]] = frozenset({"lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {
            "active_walk": Subquery(Enrolment.objects.filter(pk=OuterRef("enrolment")).values("state")[:1]),
            "active_why": Subquery(Enrolment.objects.filter(pk=OuterRef("enrolment")).values("reason")[:1]),
            "active_journey": Subquery(Journey.objects.filter(key=OuterRef("journey")).values("state")[:1]),
        }

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        if row["active_walk"] == Enrolment.State.EXITED:
            return Verdict(Ruling.CANCEL, f"left:{row['active_why']}"[:120])
        if row["active_journey"] == Journey.State.ARCHIVED:
            return Verdict(Ruling.CANCEL, "journey_archived")
        if row["active_journey"] == Journey.State.PAUSED:
            return Verdict(Ruling.HOLD, "journey_paused", now + LOOK_AGAIN)
        return None
