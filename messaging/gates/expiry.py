"""Too late is worse than never: a message past its expiry is not sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from messaging.gates import Gate, Row, Ruling, Verdict, gates


@gates.register("expiry")
class ExpiryGate(Gate):
    """Expires a message whose `expires_at` has come."""

    key: ClassVar[str] = "expiry"
    order: ClassVar[int] = 20

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        if row["expires_at"] is not None and row["expires_at"] <= now:
            return Verdict(Ruling.EXPIRE, "expired")
        return None
