"""Reading what a feed answered: JSON of bounded size, depth and count, and of characters that can be stored."""

from __future__ import annotations

import json
from typing import Any

from common.http import Answer
from common.text import without_poison

OCTETS = 64 * 1024  # of an answer
DEPTH = 8  # of what is taken
PARTS = 5000  # values in it, all together
NUMBER = 10**15  # the largest, as in templates


class Unusable(Exception):
    """The answer cannot be shown; the message says why and holds nothing of the answer."""


def read(answer: Answer, pick: str) -> Any:
    """The value that templates see. Raises Unusable."""
    if answer.status != 200:
        redirect = " (a redirect is not followed)" if 300 <= answer.status < 400 else ""
        raise Unusable(f"HTTP {answer.status}{redirect}")
    if answer.cut:
        raise Unusable(f"longer than {OCTETS // 1024} KiB")
    try:
        value = json.loads(answer.body.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Unusable("not JSON") from None
    return _bounded(_picked(value, pick))


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _picked(value: Any, pick: str) -> Any:
    for step in filter(None, pick.split(".")):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif (
            isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 6 and int(step) < len(value)
        ):
            value = value[int(step)]
        else:
            raise Unusable(f"there is no '{pick}' in it")
    return value


def _bounded(value: Any) -> Any:
    """The same value with its texts cleaned. Raises Unusable for what is too deep, too much, or too large a number."""
    left = PARTS

    def copy(one: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Unusable(f"more than {PARTS} values")
        if isinstance(one, dict | list) and depth >= DEPTH:
            raise Unusable(f"deeper than {DEPTH}")
        if isinstance(one, dict):
            return {without_poison(name): copy(inner, depth + 1) for name, inner in one.items()}
        if isinstance(one, list):
            return [copy(inner, depth + 1) for inner in one]
        if isinstance(one, str):
            return without_poison(one)
        if isinstance(one, int | float) and not abs(one) <= NUMBER:
            raise Unusable("a number is too large")
        return one

    return copy(value, 0)
