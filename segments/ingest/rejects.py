"""What could not be taken in is kept, with its reason, where a person can see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.text import without_poison
from segments.bulk import insert
from segments.ingest.body import Poison
from segments.ingest.limits import CALL_BYTES, Refused, RowResult

COLUMNS = (
    ("source_id", "bigint"), ("job_id", "bigint"), ("received_at", "timestamptz"), ("line", "bigint"),
    ("code", "varchar"), ("path", "varchar"), ("reason", "text"), ("payload", "text"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused row: its place in the batch, its line in a file, what it was and why not."""

    index: int
    raw: Any
    refused: Refused
    line: int | None = None

    @property
    def result(self) -> RowResult:
        return RowResult(self.index, "rejected", self.refused.code, self.refused.path, self.refused.message)


def store_rejects(rejects: Sequence[Reject], *, source: int, now: datetime, job: int | None = None) -> None:
    """Keep the refused rows, in one statement."""
    if not rejects:
        return
    rows = [
        (source, job, now, item.line, item.refused.code, item.refused.path, item.refused.message, text_of(item.raw))
        for item in rejects
    ]
    insert("segments_rejectedrow", COLUMNS, rows)


def text_of(raw: Any) -> str:
    """The row as text that every database takes, cut to the size of a call."""
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=_mark)
    return without_poison(text)[:CALL_BYTES]


def _mark(value: Any) -> str:
    return f"<{value.code}>" if isinstance(value, Poison) else str(value)[:200]
