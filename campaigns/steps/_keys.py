"""The key under which a step's intent happens once: the enrolment, the node, and which visit it is."""

from __future__ import annotations

from campaigns.steps import Walker


def intent_key(walker: Walker, what: str) -> str:
    """ "j:{enrolment}:{node}:{visit}:{what}"; a retry of the same visit makes the same key."""
    return f"j:{walker.enrolment}:{walker.node}:{walker.visit}:{what}"
