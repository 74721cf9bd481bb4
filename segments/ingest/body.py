"""From bytes to calls without ever letting a hostile body near a recursion limit, a bomb or a database.

A wrong row must fail alone, so what JSON itself allows but we do not (NaN, numbers beyond 64 bits, duplicate
keys, broken UTF-8, absurd nesting) is read as a mark in its place; `check` then refuses the row that holds it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from typing import Any

from segments.ingest.limits import BODY_BYTES, DEPTH, INTEGER, BadBody

ENVELOPE = 2  # a batch is an object that holds a list
CUTTER = "987654321098765432109876543210"  # stands for what was nested too deep; no 64-bit integer
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_STEP = {0x5B: 1, 0x7B: 1, 0x5D: -1, 0x7D: -1}
_ALIKE = bytes.maketrans(b"[]", b"{}")
_NOT_MARK = bytes(byte for byte in range(256) if byte not in b'[]{}"')


class Poison:
    """A value that JSON can carry and we cannot; `code` says why."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code


def unpack(raw: bytes, *, limit: int = BODY_BYTES) -> bytes:
    """The body itself, un-gzipped if it is gzip. Raises BadBody when it is broken or unpacks beyond `limit`."""
    if raw[:2] != b"\x1f\x8b":
        return _within(raw, limit)
    parts, left = [], raw
    size = 0
    try:
        while left:
            unzip = zlib.decompressobj(wbits=31)
            part = unzip.decompress(left, limit + 1 - size)
            size += len(part)
            if size > limit:
                raise BadBody(413, "too_large", f"the body unpacks to more than {limit} bytes")
            if not unzip.eof:
                raise BadBody(400, "bad_gzip", "the gzip body is cut short")
            parts.append(part)
            left = unzip.unused_data.lstrip(b"\x00")
    except zlib.error:
        raise BadBody(400, "bad_gzip", "the body is not gzip, though it begins like it") from None
    return b"".join(parts)


def read_json(raw: bytes) -> Any:
    """The JSON value of a body, with Poison where it holds what cannot be stored. Raises BadBody."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        raise BadBody(400, "empty_body", "the body is empty")
    if may_be_deep(raw, DEPTH + ENVELOPE):
        raw, endless = _cut(raw, DEPTH + ENVELOPE)
        if endless:  # no JSON either, but this is what is wrong with it
            raise BadBody(400, "too_deep", f"the body nests deeper than {DEPTH + ENVELOPE} levels")
    try:
        return _DECODER.decode(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise BadBody(400, "not_json", f"the body is not JSON: {str(error)[:120]}") from None


def may_be_deep(raw: bytes, limit: int) -> bool:
    """Whether brackets may nest deeper than `limit` outside strings (or do not match): a scan that never recurses.

    Few opening brackets settle it. Else all but quotes and brackets is dropped. Then two quotes side by side may go,
    as whatever else stood inside or outside of a string still does, and each round takes the innermost pairs of
    brackets everywhere.
    """
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    left = raw.translate(_ALIKE, _NOT_MARK).replace(b'""', b"")
    if b'"' in left:
        left = _STRING.sub(b"", left)
    for _ in range(limit):
        left = left.replace(b"{}", b"")
        if not left:
            return False
    return bool(left)


def cut_deep(raw: bytes, limit: int) -> bytes:
    """The body with every value that nests deeper than `limit` replaced by a number that is refused later."""
    return _cut(raw, limit)[0]


def _cut(raw: bytes, limit: int) -> tuple[bytes, bool]:
    """The same, and whether the last such value never ends: nothing of it is left then."""
    kept, depth, start, cut = [], 0, 0, 0
    for token in _TOKEN.finditer(raw):
        step = _STEP.get(raw[token.start()], 0)
        if step == 1:
            depth += 1
            if depth == limit + 1:
                kept.append(raw[start : token.start()])
                cut = 1
        elif step == -1:
            if depth == limit + 1:
                kept.append(CUTTER.encode())
                start, cut = token.end(), 0
            depth -= 1
    return b"".join(kept if cut else [*kept, raw[start:]]), bool(cut)


def calls_of(body: Any) -> Sequence[Any]:
    """The items of a batch envelope. Raises BadBody when it is none."""
    items = body.get("batch") if isinstance(body, dict) else None
    if isinstance(body, Poison):
        raise BadBody(400, body.code, "the envelope holds a key twice, or is no object at all")
    if not isinstance(items, list):
        raise BadBody(400, "no_batch", "a batch is an object with a list named 'batch'")
    return items


def _within(raw: bytes, limit: int) -> bytes:
    if len(raw) > limit:
        raise BadBody(413, "too_large", f"the body is larger than {limit} bytes")
    return raw


def _integer(text: str) -> int | Poison:
    if text == CUTTER:
        return Poison("too_deep")
    if len(text) > 20:
        return Poison("number_too_large")
    value = int(text)
    return value if -INTEGER <= value <= INTEGER else Poison("number_too_large")


def _real(text: str) -> float | Poison:
    value = float(text)
    return value if -INTEGER < value < INTEGER else Poison("number_too_large")


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Poison("duplicate_key")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_real,
    parse_constant=lambda _: Poison("not_a_number"),
)
