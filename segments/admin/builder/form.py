"""From the builder's form to a draft of the rule. What was typed is kept as it was typed, also when it is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _

from common.admin.widgets import read_json
from common.text import has_poison
from segments.admin.builder.inputs import Input, inputs_of
from segments.admin.builder.tree import GROUPS, ROOT, Draft
from segments.rules.operators import operators

SIGN = "rule|"  # every field of the builder begins so; a place and a parameter follow
DEEPEST, WIDEST = 14, 250  # beyond what a rule may have, so that the rule's own limits are what is told
LONG_NUMBER = re.compile(r"-?\d+(\.\d+)?[eE][+-]?\d{1,3}")
NEEDLESS = re.compile(r"^(-?)0+(?=\d)")  # zeros before a number: 007, but not 0.5
YES_NO = {"true": True, "false": False}


@dataclass(frozen=True)
class Posted:
    """What came with a form: the rule, or why it cannot be read; `view` is builder or json; `text` the JSON typed."""

    raw: Any
    view: str
    text: str = ""
    problems: tuple[str, ...] = ()


def read_posted(data: Any, name: str = "rule") -> Posted | None:
    """The rule in a form, from the builder's fields or from the JSON box; None when the form has neither."""
    if name in data:
        text = str(data[name])
        try:
            return Posted(read_json(text), "json", text)
        except ValidationError as error:
            return Posted(None, "json", text, tuple(error.messages))
    if f"{SIGN}{ROOT}|kind" not in data:
        return None
    if any(has_poison(text) for key in data if key.startswith(SIGN) for text in _all(data, key)):
        said = _("The text holds a character that cannot be stored (NUL or half a surrogate pair).")
        return Posted(None, "builder", problems=(said,))
    return Posted(read_draft(data), "builder")


def read_draft(data: Any, place: str = ROOT, depth: int = 0) -> Draft:
    """The node at a place, with all below it."""
    kind = str(data.get(f"{SIGN}{place}|kind", "op"))
    if kind not in GROUPS:
        return _question(data, place)
    parts = []
    for index in range(WIDEST):
        if depth >= DEEPEST or f"{SIGN}{place}.{index}|kind" not in data:
            break
        parts.append(read_draft(data, f"{place}.{index}", depth + 1))
    if kind == "not":
        return {"not": parts[0] if parts else {"op": ""}}
    return {kind: parts}


def _question(data: Any, place: str) -> Draft:
    op = str(data.get(f"{SIGN}{place}|op", ""))
    if op not in operators:
        kept = read_scalar(str(data.get(f"{SIGN}{place}|kept", "")), "json")
        return {"op": op, "params": kept} if isinstance(kept, dict) and kept else {"op": op}
    params: dict[str, Any] = {}
    for name, one in inputs_of(op).items():
        stem = f"{SIGN}{place}|p|{name}"
        value = _tests(data, stem, one) if one.kind == "tests" else _value(data, stem, one)
        if value is not None:
            params[name] = value
    stem = f"{SIGN}{place}|x|"
    for key in data:
        if key.startswith(stem) and str(data[key]).strip():
            params[key.removeprefix(stem)] = read_scalar(str(data[key]), "json")
    return {"op": op, "params": params}


def _value(data: Any, stem: str, one: Input) -> Any:
    """The value of one parameter; None when nothing was given."""
    if one.kind == "list":
        kinds = _all(data, f"{stem}|as")
        rows = enumerate(_all(data, stem))
        listed = [read_scalar(text, one.of, kinds[n] if n < len(kinds) else "") for n, text in rows if text != ""]
        return listed or None
    if one.kind == "choices":
        return _all(data, stem) or None
    text = str(data.get(stem, ""))
    return None if text == "" else read_scalar(text, one.kind, str(data.get(f"{stem}|as", "")))


def _tests(data: Any, stem: str, one: Input) -> dict[str, Any] | None:
    """Rows of (property, test, value) as the object that they say; two tests of one property stand together."""
    found: dict[str, Any] = {}
    for index in range(WIDEST):
        row = f"{stem}|{index}"
        if f"{row}|name" not in data:
            break
        name, test = str(data[f"{row}|name"]).strip(), str(data.get(f"{row}|test", "is"))
        asked = one.tests.get(test)
        value = _value(data, f"{row}|{test}", asked) if asked else None
        if name == "" and value is None:
            continue
        if value is None:
            value = [] if asked and asked.kind == "list" else ""
        said = value if test in ("is", "in") else {test: value}
        found[name] = _joined(found[name], said) if name in found else said
    return found or None


def _joined(one: Any, other: Any) -> Any:
    """Both tests on the same property, as one."""
    return {**_as_test(one), **_as_test(other)}


def _as_test(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {"any_of": said if isinstance(said, list) else [said]}


def read_scalar(text: str, kind: str, given_as: str = "") -> Any:
    """A typed value as JSON has it. A value of any kind is a number or yes/no where it looks so, unless a person
    said that it is meant as a text."""
    if kind == "json":
        try:
            return read_json(text)
        except ValidationError:
            return text
    if text in YES_NO and (kind == "yesno" or (kind == "scalar" and given_as != "text")):
        return YES_NO[text]
    if kind in ("whole", "number"):
        typed = text.strip()
        return float(typed) if LONG_NUMBER.fullmatch(typed) else _or(text, _number(NEEDLESS.sub(r"\1", typed)))
    return _or(text, _number(text)) if kind == "scalar" and given_as != "text" else text


def _or(text: str, number: int | float | None) -> Any:
    return text if number is None else number


def looks_like_no_text(value: object) -> bool:
    """Whether the same letters could be meant as a text and as something else."""
    return isinstance(value, bool | int | float) or (
        isinstance(value, str) and (value in YES_NO or _number(value) is not None)
    )


def shown(value: object) -> str:
    """A scalar as it stands in an input."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _number(text: str) -> int | float | None:
    """The number that is written so and no other way: 5 and 2.50, neither 007 nor 1e9."""
    digits = text.removeprefix("-")
    if not digits.isascii() or len(digits) > 18:
        return None
    whole, dot, rest = digits.partition(".")
    if not whole.isdecimal() or (dot and not rest.isdecimal()) or (len(whole) > 1 and whole[0] == "0"):
        return None
    return float(text) if dot else int(text)


def _all(data: Any, key: str) -> list[str]:
    if isinstance(data, QueryDict):
        return [str(one) for one in data.getlist(key)]
    value = data.get(key, [])
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
