"""What a batch says of one person: later words win, except where they may only fill a gap."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from segments.ingest.call import Call
from segments.ingest.traits import CHECKS, NAMES
from segments.ingest.utm import first_copies, latest_copies
from segments.portrait import Portrait, to_text

SIGNED_UP = "Signed Up"


@dataclass(slots=True)
class Change:
    """What the calls of a batch say about one person, gathered in their order."""

    first_seen: datetime
    last_seen: datetime
    columns: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    registered: datetime | None = None

    @classmethod
    def of(cls, call: Call) -> Change:
        return cls(call.occurred_at, call.occurred_at)

    def hear(self, call: Call, *, became_known: bool) -> None:
        """Take in one call."""
        self.first_seen = min(self.first_seen, call.occurred_at)
        self.last_seen = max(self.last_seen, call.occurred_at)
        if call.traits is not None:
            for name in call.traits.gone:
                self._forget(name)
            self.columns.update(call.traits.columns)
            self.rest.update(call.traits.rest)
            for name, value in call.traits.once.items():
                self.once.setdefault(name, value)
        if call.utm:
            for name, value in first_copies(call.utm).items():
                self.once.setdefault(name, value)
            self.rest.update(latest_copies(call.utm))
        if call.name == SIGNED_UP or (became_known and call.live and call.kind == "identify"):
            self.registered = min(self.registered or call.occurred_at, call.occurred_at)

    def says_more(self) -> bool:
        """Whether it holds more than when the person was seen."""
        return bool(self.columns or self.rest or self.once or self.registered)

    def draw(self, before: Portrait) -> Portrait:
        """The portrait after the change."""
        columns = dict(self.columns)
        traits: dict[str, Any] = json.loads(before.traits)
        for name, value in self.rest.items():
            if value is None:
                traits.pop(name, None)
            else:
                traits[name] = value
        for name, value in self._gaps(before, columns):
            traits.setdefault(name, value)
        if self.registered and "registered_at" not in columns and before.registered_at is None:
            columns["registered_at"] = self.registered
        return before._replace(
            **columns,
            traits=before.traits if not (self.rest or self.once) else to_text(traits),
            first_seen_at=min(before.first_seen_at, self.first_seen),
            last_seen_at=max(before.last_seen_at, self.last_seen),
        )

    def _gaps(self, before: Portrait, columns: dict[str, Any]) -> list[tuple[str, Any]]:
        """What may only fill a gap: typed columns are filled in place, the rest is returned."""
        left = []
        for name, value in self.once.items():
            column = NAMES.get(name)
            read = CHECKS[column](value) if column else None
            if column is None or read is None:
                left.append((name, value))
            elif column not in columns and not getattr(before, column):
                columns[column] = read
        return left

    def _forget(self, name: str) -> None:
        column = NAMES.get(name)
        if column:
            self.columns[column] = None if column in ("birthday", "registered_at") else ""
        self.rest[name] = None
