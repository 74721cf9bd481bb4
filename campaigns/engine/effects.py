"""What intents have in common: what came of each, who is held out, and how deep the facts lie that they cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from campaigns.engine.walk import Walk
from campaigns.graph import Node
from campaigns.plans import Plan
from campaigns.steps import Intent

HELD_OUT = "held out: not executed"
Wanted = Sequence[tuple[Walk, Intent]]


class CannotDo(ValueError):
    """What a step intends can never be done as things stand: the enrolment is parked at once."""

    permanent = True


@dataclass(frozen=True)
class Effect:
    """What came of an intent: another port, a reason for the visit, variables for the walk."""

    port: str = ""
    reason: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)


def real_ones(wanted: Wanted) -> tuple[list[tuple[Walk, Intent]], dict[str, Effect]]:
    """Those to be done, and the notes for the held out."""
    notes = {intent.key: Effect(reason=HELD_OUT) for walk, intent in wanted if walk.ghost}
    return [(walk, intent) for walk, intent in wanted if not walk.ghost], notes


def by_depth(real: Wanted) -> list[tuple[int, list[tuple[Walk, Intent]]]]:
    """By the depth of the facts that these will state: one more than that of the fact that began the walk."""
    depths = sorted({walk.depth + 1 for walk, _ in real})
    return [(depth, [pair for pair in real if pair[0].depth + 1 == depth]) for depth in depths]


def why(plan: Plan, node: Node) -> str:
    return f"journey:{plan.journey_key}:{node.key}"[:120]
