"""The walk over one row that finds whatever no database may be asked to store."""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping
from typing import Any

from common.text import without_poison
from segments.ingest.body import Poison
from segments.ingest.limits import CALL_BYTES, DEPTH, INTEGER, KEY_CHARS, KEYS, STRING_BYTES, Refused

MESSAGES = {
    "too_deep": f"nested deeper than {DEPTH}",
    "number_too_large": "a number beyond 64 bits",
    "not_a_number": "NaN and infinity are no JSON numbers",
    "duplicate_key": "the object names a key twice",
    "nul": "the text holds a NUL character",
    "bad_utf8": "the text is not UTF-8",
    "lone_surrogate": "the text holds half of a surrogate pair",
}
PLAIN = STRING_BYTES // 4  # characters of a text that cannot be too long
REPAIRABLE = frozenset({"nul", "bad_utf8", "lone_surrogate"})


def check_row(row: Any, *, lenient: bool = False, weigh: bool = True) -> tuple[Mapping[str, Any], bool]:
    """The row, fit to be stored, and whether its text was repaired (a lenient source). Raises Refused.

    `weigh` measures the row against the size of a call; not needed when the whole body was smaller than that.
    """
    if not isinstance(row, Mapping):
        if isinstance(row, Poison):
            raise _poison(row.code, "")
        raise Refused("not_an_object", "", "a call is a JSON object")
    repaired = False
    try:
        _walk(row, 1)
    except Refused as refused:
        if not lenient or refused.code not in REPAIRABLE:
            raise _with_path(row, refused) from None
        row, repaired = repair(row), True
        _walk(row, 1)
    if weigh and not _is_light(row) and weight(row) > CALL_BYTES:
        raise Refused("too_large", "", f"a call may have {CALL_BYTES} bytes")
    return row, repaired


def _is_light(row: Mapping[str, Any]) -> bool:
    """Whether the row is surely small enough: a binary form, ten times faster to make than JSON, of a sixth of the
    bytes allowed (a control character takes one there and six in JSON; all else takes less)."""
    try:
        return len(marshal.dumps(row, 2)) * 6 <= CALL_BYTES  # type: ignore[arg-type]
    except ValueError:
        return False


def weight(row: Mapping[str, Any]) -> int:
    """Bytes of the row as compact JSON in UTF-8."""
    return len(json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace"))


def repair(value: Any) -> Any:
    """The value with U+FFFD for every NUL and broken character, keys included."""
    if isinstance(value, str):
        return without_poison(value)
    if isinstance(value, Mapping):
        return {without_poison(str(key)): repair(item) for key, item in value.items()}
    return [repair(item) for item in value] if isinstance(value, list) else value


def text_problem(text: str) -> str:
    """The code of what makes this text unfit, or ""."""
    if text.isascii():
        return "nul" if "\x00" in text else ""
    if "\x00" in text:
        return "nul"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return "bad_utf8" if "\udc80" <= text[error.start] <= "\udcff" else "lone_surrogate"
    return ""


def _walk(value: Any, depth: int) -> None:
    """Raise Refused at the first unfit value; paths are found later, as nearly every row is well."""
    if value.__class__ is dict or isinstance(value, Mapping):
        if depth > DEPTH:
            raise _poison("too_deep", "")
        if len(value) > KEYS:
            raise Refused("too_many_keys", "", f"an object may have {KEYS} keys")
        for key, item in value.items():
            if key.__class__ is not str:
                raise Refused("wrong_type", "", "keys are text")
            if len(key) > KEY_CHARS:
                raise Refused("key_too_long", "", f"a key may have {KEY_CHARS} characters")
            if (not key.isascii() or "\x00" in key) and (problem := text_problem(key)):
                raise _poison(problem, "")
            if item.__class__ is str and len(item) <= PLAIN and item.isascii() and "\x00" not in item:
                continue
            _leaf(item, depth)
    else:
        if depth > DEPTH:
            raise _poison("too_deep", "")
        for item in value:
            _leaf(item, depth)


def _leaf(item: Any, depth: int) -> None:
    kind = item.__class__
    if kind is str:
        if problem := text_problem(item):
            raise _poison(problem, "")
        if len(item) > PLAIN and len(item.encode()) > STRING_BYTES:
            raise Refused("string_too_long", "", f"a text may have {STRING_BYTES} bytes")
    elif item is None or kind is bool:
        return
    elif kind is int:
        if not -INTEGER <= item <= INTEGER:
            raise _poison("number_too_large", "")
    elif kind is float:
        if item != item:
            raise _poison("not_a_number", "")
        if not -INTEGER < item < INTEGER:
            raise _poison("number_too_large", "")
    elif kind is dict or kind is list or isinstance(item, Mapping | tuple):
        _walk(item, depth + 1)
    elif kind is Poison:
        raise _poison(item.code, "")
    else:
        raise Refused("wrong_type", "", f"{kind.__name__} is no JSON value")


def _poison(code: str, path: str) -> Refused:
    return Refused(code, path, MESSAGES[code])


def _with_path(row: Mapping[str, Any], refused: Refused) -> Refused:
    """The same refusal with the path of the smallest part of the row that is refused by itself."""
    path: list[str] = []
    value: Any = row
    depth = 1
    while isinstance(value, Mapping | list | tuple) and depth <= DEPTH:
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, item in items:
            if _refuses(item, depth, refused.code):
                path.append(without_poison(str(name))[:KEY_CHARS])
                value, depth = item, depth + 1
                break
        else:
            break
    return Refused(refused.code, ".".join(path), refused.message)


def _refuses(item: Any, depth: int, code: str) -> bool:
    try:
        _leaf(item, depth)
    except Refused as refused:
        return refused.code == code
    return False
