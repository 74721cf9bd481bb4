"""The scan for nesting agrees with a plain count, and what no reader may recurse into is cut."""

from __future__ import annotations

import json
import random

import pytest

from segments.ingest.body import cut_deep, may_be_deep

PIECES = [b"{", b"}", b"[", b"]", b'"', b'"', b"\\", b'\\"', b"\\\\", b"a", b",", b":", b'""', b"[]"]


def plain_depth(raw: bytes) -> int:
    """How deep brackets nest outside strings, one byte after the other."""
    depth = most = place = 0
    text = False
    while place < len(raw):
        byte = raw[place : place + 1]
        if byte == b"\\" and text:
            place += 1
        elif byte == b'"':
            text = not text
        elif not text and byte in b"[{":
            depth += 1
            most = max(most, depth)
        elif not text and byte in b"]}":
            depth -= 1
        place += 1
    return most


@pytest.mark.parametrize("seed", range(40))
def test_nothing_deep_passes_as_shallow(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        raw = b"".join(rng.choices(PIECES, k=rng.randrange(40)))
        try:
            json.loads(raw)
        except ValueError:
            continue
        limit = rng.randrange(1, 6)
        assert may_be_deep(raw, limit) is (plain_depth(raw) > limit), raw


def nested(rng: random.Random, depth: int) -> object:
    """A value that nests exactly so deep, with brackets, quotes and backslashes in its texts."""
    text = "".join(rng.choices('[]{}"\\a中', k=rng.randrange(8)))
    if depth == 0:
        return text
    inner = nested(rng, depth - 1)
    return [text, inner] if rng.random() < 0.5 else {text: inner, "z": [text] if depth > 1 else 0}


@pytest.mark.parametrize("seed", range(40))
def test_depth_is_told_to_the_bracket_whatever_the_texts_hold(seed: int) -> None:
    rng = random.Random(seed)
    for depth in range(1, 40):
        raw = json.dumps(nested(rng, depth), ensure_ascii=rng.random() < 0.5).encode()
        assert may_be_deep(raw, depth - 1) or depth == 1
        assert not may_be_deep(raw, depth)
        assert plain_depth(raw) == depth
        assert not may_be_deep(cut_deep(raw, 20), 20)


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 9, b"[]" * 9 + b"]", b'["' * 9, b"[" * 50 + b"]" * 50])
def test_what_is_deep_or_does_not_match_is_cut_or_refused_by_the_parser(raw: bytes) -> None:
    assert may_be_deep(raw, 8)
    assert plain_depth(cut_deep(raw, 8)) <= 8
