"""Who asked for a break gets none of our marketing until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import F

from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.gates._policy import SILENT


@gates.register("rest")
class RestGate(Gate):
    """Skips marketing during a person's break, rather than letting it wait and all arrive on the day it ends."""

    key: ClassVar[str] = "rest"
    order: ClassVar[int] = 65
    classes: ClassVar[frozenset[str]] = frozenset({"marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {"rest_until": F("profile__preference__paused_until")}

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        if row["rest_until"] is not None and row["rest_until"] > now and row["channel"] not in SILENT:
            return Verdict(Ruling.SKIP, "own:break")
        return None
