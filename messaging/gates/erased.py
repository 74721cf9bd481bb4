"""Nobody who was erased, or who has become part of another person, is written to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import F

from messaging.gates import Gate, Row, Ruling, Verdict, gates


@gates.register("erased")
class ErasedGate(Gate):
    """Cancels messages to an erased person and to a profile merged into another (whose own messages go on)."""

    key: ClassVar[str] = "erased"
    order: ClassVar[int] = 30

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {"erased_at": F("profile__erased_at"), "erased_merged": F("profile__merged_into_id")}

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        if row["erased_at"] is not None:
            return Verdict(Ruling.CANCEL, "erased")
        if row["erased_merged"] is not None:
            return Verdict(Ruling.CANCEL, "merged")
        return None
