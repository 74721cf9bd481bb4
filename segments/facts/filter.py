"""The property filter of triggers, waits, exits and goals: one meaning everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ABSENT = object()


def passes(properties: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether every wanted property is there and equal; a list of wanted values means any of them.

    A dot in a name looks inside ("shipping.city"). An empty filter passes everything.
    """
    return all(_equal(_look_up(properties, name), value) for name, value in wanted.items())


def _look_up(properties: Mapping[str, Any], name: str) -> Any:
    if name in properties:
        return properties[name]
    found: Any = properties
    for part in name.split("."):
        found = found.get(part, _ABSENT) if isinstance(found, Mapping) else _ABSENT
    return found


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, list) and not isinstance(found, list):
        return any(_equal(found, one) for one in wanted)
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)
