"""Two profiles may share one address, which gets the same message once; and nobody reads the same twice in a while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Concat

from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.gates import _policy as policy
from messaging.gates._policy import ALL, SILENT
from messaging.models import Delivery

WITHIN = timedelta(hours=24)


@gates.register("dedupe")
class DedupeGate(Gate):
    """Skips a message when its address got the same template from the same step, for another person, within
    a day. (The same person's repeats are told apart by the unique key of the ledger.)

    Where a rule says so, marketing is skipped too when the person got the same content in the channel within its days:
    the same version with the same variables.
    """

    key: ClassVar[str] = "dedupe"
    order: ClassVar[int] = 70
    classes: ClassVar[frozenset[str]] = frozenset({"lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        # Journey and node as one expression: without statistics PostgreSQL would find the twin through the index of
        # the journey's messages, all of them, rather than through the address's few.
        step = Concat("journey", Value(":"), "node")
        twins = Delivery.objects.annotate(step=step).filter(
            address=OuterRef("address"),
            version=OuterRef("version"),
            step=Concat(OuterRef("journey"), Value(":"), OuterRef("node")),
            sent_at__gt=now - WITHIN,
            ghost=False,
        )
        twin = twins.exclude(profile=OuterRef("profile"))
        return {"dedupe_twin": Exists(twin), "dedupe_address": F("address_id")}

    def lookback(self, now: datetime) -> timedelta:
        return max(policy.current().repeat.values(), default=timedelta(0))

    def compares(self, now: datetime) -> bool:
        return bool(policy.current().repeat)

    def prepare(self, now: datetime) -> Mapping[str, timedelta]:
        return policy.current().repeat

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        if row["dedupe_address"] is not None and row["dedupe_twin"]:
            return Verdict(Ruling.SKIP, "same_address")
        within = _within(row["channel"], prepared)
        if within is None or row["klass"] != "marketing":
            return None
        same = (one for one in row["recent"] if one.content == row["content"] and one.channel == row["channel"])
        if any(one.at + within > now for one in same):
            return Verdict(Ruling.SKIP, f"same_content:{within.days}")
        return None


def _within(channel: str, rules: Mapping[str, timedelta]) -> timedelta | None:
    return rules.get(channel) or (rules.get(ALL) if channel not in SILENT else None)
