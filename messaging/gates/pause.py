"""The switch: an open pause of everything, of a channel, a class, a campaign, a journey or an account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from common.compiled import ask_rows
from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.models import Pause

LOOK_AGAIN = timedelta(minutes=15)  # lifting a pause frees its messages at once; this is the net below
TRANSACTIONAL = "transactional"
_CHOSEN = ("scope", "value", "until")
Open = Mapping[tuple[str, str], datetime | None]


@gates.register("pause")
class PauseGate(Gate):
    """Holds while a pause is open. Transactional messages heed only the global switch and their own class."""

    key: ClassVar[str] = "pause"
    order: ClassVar[int] = 10

    def ask(self, now: datetime) -> Callable[[], Open]:
        rows = ask_rows("pauses", lambda _: Pause.objects.filter(ended_at__isnull=True).values_list(*_CHOSEN))
        return lambda: {(scope, value): until for scope, value, until in rows() if until is None or until > now}

    def prepare(self, now: datetime) -> Open:
        return self.ask(now)()

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        if not prepared:
            return None
        for scope, value in self._scopes(row):
            if (scope, value) in prepared:
                until = prepared[scope, value] or now + LOOK_AGAIN
                return Verdict(Ruling.HOLD, reason_of(scope, value), until)
        return None

    def _scopes(self, row: Row) -> list[tuple[str, str]]:
        scopes = [("all", ""), ("class", row["klass"])]
        if row["klass"] == TRANSACTIONAL:
            return scopes
        names = ("channel", "campaign", "journey")
        return scopes + [(name, row[name]) for name in names] + [("account", row["account_key"])]


def reason_of(scope: str, value: str) -> str:
    """The reason stored with a message that a pause holds."""
    return f"paused:{scope}:{value}".rstrip(":")
