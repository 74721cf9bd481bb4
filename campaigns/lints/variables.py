"""Variables that nothing before a message provides: its rendering would fail for everybody who comes that way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from campaigns.lints import Finding, Lint, Severity, Sight, lints
from common.text import say

OURS = frozenset({
    "profile", "journey", "brand", "links", "points", "level", "campaign", "locale", "feeds", "preheader",
})  # fmt: skip


@lints.register("variables")
class Variables(Lint):
    """An error where a message takes a variable (event, coupon …) that the trigger does not bring and that the steps
    before it do not provide on every way; a warning where a default stands in for it."""

    key: ClassVar[str] = "variables"

    def find(self, sight: Sight) -> Iterator[Finding]:
        known = known_at(sight)
        for key, letter in sight.sends():
            missing: dict[str, bool] = {}
            for take in letter.takes:
                if take.root not in OURS and take.root not in known.get(key, frozenset()):
                    missing[take.root] = missing.get(take.root, True) and take.sure
            for root, sure in sorted(missing.items()):
                severity = Severity.WARNING if sure else Severity.ERROR
                yield Finding(severity, _said(letter.template, root), f"nodes.{key}")


def known_at(sight: Sight) -> Mapping[str, frozenset[str]]:
    """What every walk that comes to a node knows: the meet over all ways of what is brought and provided on each."""
    known: dict[str, frozenset[str]] = {sight.graph.start: sight.given}
    todo = [sight.graph.start]
    while todo:
        node = sight.graph.nodes[todo.pop()]
        for port, to in node.next.items():
            brought = known[node.key] | sight.provides.get((node.key, port), frozenset())
            met = brought & known[to] if to in known else brought
            if to not in known or met != known[to]:
                known[to] = met
                todo.append(to)
    return known


def _said(template: str, root: str) -> str:
    return say(
        f"“{template}” takes '{root}', which neither the trigger nor the steps on every way here provide",
        f"“{template}”用到 '{root}'，但触发条件和到达此处的各条路径并未都提供它",
    )
