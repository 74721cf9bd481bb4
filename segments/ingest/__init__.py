"""What senders say comes in here: checked row by row, written in sets (docs/ingest.md)."""

from __future__ import annotations

from segments.ingest.intake import ingest
from segments.ingest.limits import Refused, RowResult

__all__ = ["Refused", "RowResult", "ingest"]
