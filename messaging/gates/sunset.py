"""Who does not read us hears from us less: addresses that were slowed down get one message in a while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db.models import F

from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.gates import _policy as policy
from messaging.gates._policy import SILENT


@gates.register("sunset")
class SunsetGate(Gate):
    """Skips marketing to a slowed address until `slow` after the last one of its channel.

    Slowed is who ignored too many messages (messaging.sunset), until they open or click: an engagement after that
    frees them at once. Those who are stopped are suppressed.
    """

    key: ClassVar[str] = "sunset"
    order: ClassVar[int] = 75
    classes: ClassVar[frozenset[str]] = frozenset({"marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {"sunset_slowed": F("address__slowed_at"), "sunset_engaged": F("address__last_engaged_at")}

    def lookback(self, now: datetime) -> timedelta:
        return policy.current().sunset.slow or timedelta(0)

    def prepare(self, now: datetime) -> timedelta | None:
        return policy.current().sunset.slow

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        slowed, engaged = row["sunset_slowed"], row["sunset_engaged"]
        if prepared is None or slowed is None or row["channel"] in SILENT or (engaged and engaged > slowed):
            return None
        before = (one.at for one in row["recent"] if one.klass == "marketing" and one.channel == row["channel"])
        last = max(before, default=None)
        if last is not None and last + prepared > now:
            return Verdict(Ruling.SKIP, "sunset")
        return None
