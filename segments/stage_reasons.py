"""Why somebody changed stage: stored as a key and its numbers, said in the language of whoever reads it.

"silent_own:orders=4,silent=33,limit=31" takes a column of text; what was stored as a sentence stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from common.text import say

STORED = re.compile(
    r"(no_orders|ordered|silent_own|silent_usual|no_activity|active|quiet_own|quiet_usual)(?::((?:[a-z]+=\d+(?:\.\d+)?,?)*))?"
)
Numbers = Mapping[str, float]


def pack(key: str, numbers: Numbers) -> str:
    """The reason as it is stored, of well under 200 characters."""
    said = ",".join(f"{name}={value:.10g}" for name, value in numbers.items())
    return f"{key}:{said}" if said else key


@lru_cache(maxsize=4096)  # many people have the same reason
def unpack(stored: str) -> tuple[str, Numbers]:
    """The key and its numbers; a key of "" for a text that is not one of ours."""
    found = STORED.fullmatch(stored)
    if found is None:
        return "", {}
    pairs = (pair.partition("=") for pair in (found[2] or "").split(",") if pair)
    numbers = {name: int(value) if value.isdigit() else float(value) for name, _, value in pairs}
    return found[1], MappingProxyType(numbers)


def in_words(stored: str, language: str | None = None) -> str:
    """The sentence of a stored reason, in the given or the active language."""
    key, numbers = unpack(stored)
    if key == "no_orders":
        return say("no orders", "没有订单", language)
    if key == "no_activity":
        return say("no activity", "没有活动", language)
    if key in ("active", "quiet_own", "quiet_usual"):
        return _of_activity(key, numbers, language) or stored
    try:
        orders, silent = (int(numbers[name]) for name in ("orders", "silent"))
        limit = numbers.get("limit", 0.0) if key == "ordered" else numbers["limit"]
    except KeyError:
        return stored
    english, chinese = _counted(orders, "order"), f"{orders} 个订单"
    if key == "ordered":
        ago = "today" if not silent else f"{_counted(silent, 'day')} ago"
        back = "在今天" if not silent else f"在 {silent} 天前"
        return say(f"{english}, the last {ago}", f"{chinese}，最近一个{back}", language)
    whose = ("the own", "自身") if key == "silent_own" else ("everybody's", "总体")
    return say(
        f"{english}, silent for {_counted(silent, 'day')}, more than {limit:g} by {whose[0]} rhythm",
        f"{chinese}，已沉默 {silent} 天，超过{whose[1]}节奏的 {limit:g} 天",
        language,
    )


def _of_activity(key: str, numbers: Numbers, language: str | None) -> str:
    """A reason by active days; "" where a number is missing."""
    if not {"active", "silent"} <= numbers.keys() or (key != "active" and "limit" not in numbers):
        return ""
    active, silent = int(numbers["active"]), int(numbers["silent"])
    english, chinese = f"{_counted(active, 'active day')} in 28", f"28 天内活跃 {active} 天"
    if key == "active":
        ago = "today" if not silent else f"{_counted(silent, 'day')} ago"
        return say(
            f"{english}, the last {ago}", f"{chinese}，最近一天在{f' {silent} 天前' if silent else '今天'}", language
        )
    limit = numbers["limit"]
    whose, wessen = ("the own", "自身") if key == "quiet_own" else ("everybody's", "总体")
    return say(
        f"{english}, silent for {_counted(silent, 'day')}, more than {limit:g} by {whose} rhythm",
        f"{chinese}，已沉默 {silent} 天，超过{wessen}节奏的 {limit:g} 天",
        language,
    )


def _counted(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"
