"""Coming in again at once: who leaves a journey and meets its trigger the next minute gets everything once more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

from campaigns.lints import Finding, Lint, Severity, Sight, lints
from common.text import say

SHORT = timedelta(days=1)


@lints.register("reentry")
class Reentry(Lint):
    """A warning where a journey that persuades lets somebody in again at once after leaving, or within a day."""

    key: ClassVar[str] = "reentry"

    def find(self, sight: Sight) -> Iterator[Finding]:
        entry = sight.graph.entry
        quick = entry.reentry == "after_exit" or (
            entry.reentry == "cooldown" and entry.cooldown is not None and entry.cooldown < SHORT
        )
        if quick and sight.persuades() and not sight.graph.broadcast:
            yield Finding(Severity.WARNING, _said(), "entry.reentry")


def _said() -> str:
    return say(
        "lets a person in again at once: the same messages may follow each other; a cool-down prevents it",
        "离开后可立即再次进入：同样的消息可能接连发出；设置冷却期可避免",
    )
