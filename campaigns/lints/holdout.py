"""Sending without a holdout: what such a journey causes can never be told from what would have happened anyway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from campaigns.lints import Finding, Lint, Severity, Sight, lints
from common.text import say


@lints.register("holdout")
class Holdout(Lint):
    """A warning where a journey sends marketing or lifecycle messages and holds nobody out, neither by its own share
    nor by a step."""

    key: ClassVar[str] = "holdout"

    def find(self, sight: Sight) -> Iterator[Finding]:
        by_step = any(node.type == "holdout" for node in sight.graph.nodes.values())
        if sight.persuades() and not sight.holdout and not by_step:
            yield Finding(Severity.WARNING, _said(), "holdout")


def _said() -> str:
    return say(
        "nobody is held out: what this journey causes cannot be proven",
        "没有对照组：无法证明这个旅程带来的效果",
    )
