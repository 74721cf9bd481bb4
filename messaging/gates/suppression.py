"""An address that bounced for good, complained or was blocked gets nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db.models import F

from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.models import Address

FOR_ALL = frozenset({"hard_bounce", "erased"})  # these stop transactional messages too
PATIENCE = timedelta(hours=1)  # then it is looked again whether a person has decided about the quarantine


@gates.register("suppression")
class SuppressionGate(Gate):
    """Skips suppressed addresses and people without an address in the channel; what is for an address in quarantine
    waits."""

    key: ClassVar[str] = "suppression"
    order: ClassVar[int] = 50

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {"suppression_reason": F("address__suppressed")}

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        if row["address_id"] is None:
            return Verdict(Ruling.SKIP, "no_address") if row["needs_address"] else None
        reason = row["suppression_reason"]
        if reason == Address.HELD and row["klass"] != "transactional":
            return Verdict(Ruling.HOLD, "quarantine", now + PATIENCE)
        if reason and reason != Address.HELD and (row["klass"] != "transactional" or reason in FOR_ALL):
            return Verdict(Ruling.SKIP, f"suppressed:{reason}")
        return None
