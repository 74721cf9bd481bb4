"""A journey without a goal: nobody can say whether it works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from campaigns.lints import Finding, Lint, Severity, Sight, lints
from common.text import say


@lints.register("goal")
class NoGoal(Lint):
    """A warning where a journey sends marketing or lifecycle messages and names no goal."""

    key: ClassVar[str] = "goal"

    def find(self, sight: Sight) -> Iterator[Finding]:
        if sight.graph.goal is None and sight.persuades():
            yield Finding(Severity.WARNING, _said(), "goal")


def _said() -> str:
    return say("no goal: nobody will know whether it works", "没有目标：无法判断它是否有效")
