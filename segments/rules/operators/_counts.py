"""Numbers of things as people say them: "never placed an order", "at least 3 orders", "exactly once"."""

from __future__ import annotations

from dataclasses import dataclass

from common.text import say
from segments.rules.operators._words import say_compare, say_window

Words = tuple[str, str]  # English and Chinese, with {window}, {number} and whatever else they are told


@dataclass(frozen=True)
class Counted:
    """One sentence for each kind of number: none or some, of all time or in a window, else a comparison."""

    never: Words
    none: Words
    ever: Words
    some: Words
    compared: Words

    def say(self, op: str, count: int, days: float | None, number: str, language: str, **told: str) -> str:
        """The sentence for `op` `count` in the last `days`; `number` is how the comparison is said."""
        words, window = self.compared, say_total(days, language)
        if is_none(op, count):
            words = self.never if days is None else self.none
        elif is_some(op, count):
            words = self.ever if days is None else self.some
        return say(*words, language).format(window=window, number=number, **told)


def is_none(op: str, count: int) -> bool:
    """At most 0, exactly 0, less than 1."""
    return (op in ("at_most", "exactly") and count == 0) or (op == "less_than" and count == 1)


def is_some(op: str, count: int) -> bool:
    """At least 1, more than 0."""
    return (op == "at_least" and count == 1) or (op == "more_than" and count == 0)


def say_number(op: str, count: int, one: str, many: str, language: str) -> str:
    """ "at least 3 orders", "exactly 1 order"; in Chinese the comparison alone ("至少 3")."""
    said = f"fewer than {count}" if op == "less_than" else say_compare(op, count, "en")
    return say(f"{said} {one if count == 1 else many}", say_compare(op, count, "zh"), language)


def say_times(op: str, count: int, language: str) -> str:
    """ "at least 3 times", "exactly once", or "至少 3"."""
    said = say_number(op, count, "time", "times", language)
    return said.removesuffix("1 time") + "once" if said.endswith(" 1 time") else said


def say_total(days: float | None, language: str) -> str:
    """The stretch that something is counted over: "in all" ("累计"), or "in the last 30 days"."""
    return say("in all", "累计", language) if days is None else say_window(days, language)
