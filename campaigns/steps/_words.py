"""Words that several steps and their sentences share."""

from __future__ import annotations

from collections.abc import Sequence

from common.text import say

DAYS = (1, 2, 3, 4, 5, 6, 7)  # Monday is 1
ENGLISH = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def day_names(days: Sequence[int], language: str) -> str:
    """The days of the week by name, in their order; "every day" for all of them."""
    chosen = sorted(set(days))
    if len(chosen) == len(DAYS):
        return say("every day", "每天", language)
    return say(
        ", ".join(ENGLISH[n - 1] for n in chosen), "、".join(f"周{'一二三四五六日'[n - 1]}" for n in chosen), language
    )
