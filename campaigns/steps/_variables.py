"""Looking up a variable of the walk by its dotted name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def look_up(variables: Mapping[str, Any], path: str) -> Any:
    """The value at "event.properties.plan"; None when there is none. Names that begin with "_" are the engine's."""
    found: Any = variables
    for part in path.split("."):
        if part.startswith("_") or not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found
