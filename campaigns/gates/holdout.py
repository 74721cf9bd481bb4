"""Holdout: the last gate. A held-out person's message passes every other gate, is counted, and is not sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from messaging.gates import Gate, Row, Ruling, Verdict, gates


@gates.register("holdout")
class Holdout(Gate):
    """Skips the messages of held-out people at the moment they would have gone."""

    key: ClassVar[str] = "holdout"
    order: ClassVar[int] = 100
    classes: ClassVar[frozenset[str]] = frozenset({"lifecycle", "marketing"})

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        return Verdict(Ruling.SKIP, "holdout") if row["ghost"] else None
