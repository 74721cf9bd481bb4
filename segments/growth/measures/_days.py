"""Days kept by their ordinal numbers, each once and in order, and those that a reached target has used up."""

from __future__ import annotations

from typing import Any

from segments.growth.measures import Deed

EMPTY = {"days": [], "after": 0}


def days_of(kept: Any) -> list[int]:
    return list(kept["days"])


def with_day(kept: Any, deed: Deed, *, most: int) -> Any:
    """The day is in, unless it was used up; the newest `most` days are kept."""
    day = deed.day.toordinal()
    if day <= kept["after"] or day in kept["days"]:
        return kept
    return {"days": sorted([*kept["days"], day])[-most:], "after": kept["after"]}


def used_up_to(kept: Any, last: int) -> Any:
    return {"days": [day for day in kept["days"] if day > last], "after": last}
