"""Waiting until a time at which nothing may be sent: the message then waits again, until the morning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from typing import Any, ClassVar

from campaigns.lints import Finding, Lint, Severity, Sight, Window, lints
from common.text import say


@lints.register("quiet_hours")
class QuietHours(Lint):
    """A warning where a step waits until, or a schedule begins at, a wall time within the quiet hours of the channel
    that sends next."""

    key: ClassVar[str] = "quiet_hours"

    def find(self, sight: Sight) -> Iterator[Finding]:
        begins = _clock(sight.graph.trigger_params)
        if begins is not None and sight.graph.broadcast:
            yield from _judge(sight, sight.graph.start, begins, "trigger.params.at")
        for key, node in sight.graph.nodes.items():
            until = _clock(node.params) if node.step.waits else None
            if until is not None:
                for to in sorted(set(node.next.values())):
                    yield from _judge(sight, to, until, f"nodes.{key}")


def _clock(params: Any) -> time | None:
    """The wall time that a step or trigger waits for, whichever of its names it bears."""
    for name in ("until", "at"):
        value = getattr(params, name, None)
        if isinstance(value, time):
            return value
    return None


def _judge(sight: Sight, start: str, at: time, place: str) -> Iterator[Finding]:
    if sight.graph.nodes[start].step.waits:
        return
    for sender in sorted(sight.next_sends(start)):
        window = sight.quiet.get(sender)
        if window is not None and _within(at, window):
            yield Finding(Severity.WARNING, _said(at, sender, window), place)


def _within(at: time, window: Window) -> bool:
    start, end = window
    return start <= at < end if start <= end else at >= start or at < end


def _said(at: time, sender: str, window: Window) -> str:
    start, end = window
    return say(
        f"{at:%H:%M} lies in the quiet hours of “{sender}” ({start:%H:%M}–{end:%H:%M}): it will wait until {end:%H:%M}",
        f"{at:%H:%M} 在“{sender}”的免打扰时段内（{start:%H:%M}–{end:%H:%M}），将推迟到 {end:%H:%M}",
    )
