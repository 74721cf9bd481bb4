"""Which variant of a message a person gets: zh-Hans-CN → zh-Hans → zh → … → en."""

from __future__ import annotations

from collections.abc import Iterable

TRADITIONAL = frozenset({"tw", "hk", "mo"})
LAST = "en"


def chain(wished: str) -> list[str]:
    """The locales to try for a wish, best first, in lower case; "en" stands at the end.

    Chinese without a script means simplified, except where traditional is written (TW, HK, MO); either script
    is better than no Chinese.
    """
    steps = [step for step in wished.strip().replace("_", "-").lower().split(".")[0].split("-") if step]
    found = ["-".join(steps[:count]) for count in range(len(steps), 0, -1)]
    if steps and steps[0] == "zh":
        traditional = "hant" in steps or (bool(TRADITIONAL.intersection(steps)) and "hans" not in steps)
        scripts = ["zh-hant", "zh-hans"] if traditional else ["zh-hans", "zh-hant"]
        found = [*found[:-1], *(script for script in scripts if script not in found[:-1]), "zh"]
    return [*found, LAST] if LAST not in found else found


def choose(available: Iterable[str], wished: str) -> str | None:
    """The best of the available locales (as spelt there), or None when there is none at all."""
    by_name = {name.replace("_", "-").lower(): name for name in available}
    for name in chain(wished):
        if name in by_name:
            return by_name[name]
    language = wished.replace("_", "-").split("-")[0].lower()
    same = sorted(name for name in by_name if name.split("-")[0] == language)
    return by_name[(same or sorted(by_name))[0]] if by_name else None
