"""What changed between two states of a template, line beside line and word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

AROUND = 3  # unchanged lines shown beside a change
ALIGNED = 1500  # lines that are aligned one by one; longer changes stand as two blocks
WORDS = 400  # words of one line that are compared
ALIKE = 0.3  # lines less alike than this have nothing in common worth showing
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+|\s+|[^\w\s]")
Piece = tuple[bool, str]  # whether it changed, and the text


@dataclass(frozen=True)
class Row:
    """One line on both sides, either of which may be missing (number 0); `skipped` unchanged lines instead of any."""

    left: int = 0
    right: int = 0
    before: tuple[Piece, ...] = ()
    after: tuple[Piece, ...] = ()
    skipped: int = 0

    @property
    def changed(self) -> bool:
        return not self.skipped and self.before != self.after


@dataclass(frozen=True)
class PartChange:
    """What changed in one part of one language ("" for the sample data and the layout)."""

    locale: str
    part: str
    rows: tuple[Row, ...]


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PartChange]:
    """The parts in which two contents ({locale: {part: source}}) differ, in the order of the later one."""
    found = []
    for locale in dict.fromkeys([*after, *before]):
        old, new = _parts(before.get(locale)), _parts(after.get(locale))
        for part in dict.fromkeys([*new, *old]):
            if old.get(part, "") != new.get(part, ""):
                found.append(PartChange(locale, part, compare_texts(old.get(part, ""), new.get(part, ""))))
    return found


def _parts(given: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in given.items()} if isinstance(given, Mapping) else {}


def compare_texts(before: str, after: str) -> tuple[Row, ...]:
    """Two texts as rows, unchanged stretches folded."""
    return tuple(_folded(list(_rows(before.split("\n"), after.split("\n")))))


def _rows(old: Sequence[str], new: Sequence[str]) -> Iterator[Row]:
    for same, a, b, c, d in _stretches(old, new):
        if same:
            yield from (Row(a + n + 1, c + n + 1, _whole(old[a + n]), _whole(old[a + n])) for n in range(b - a))
            continue
        for n in range(max(b - a, d - c)):
            left, right = (old[a + n] if a + n < b else None), (new[c + n] if c + n < d else None)
            marked = _words(left, right) if left is not None and right is not None else None
            pieces = marked or (_whole(left, changed=True), _whole(right, changed=True))
            yield Row(a + n + 1 if left is not None else 0, c + n + 1 if right is not None else 0, *pieces)


def _stretches(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    """(unchanged, old from, to, new from, to): a common beginning and end are cut off before anything is aligned."""
    start = next(
        (n for n, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new))
    )
    most = min(len(old), len(new)) - start
    end = next((n for n in range(most) if old[-1 - n] != new[-1 - n]), most)
    yield True, 0, start, 0, start
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(left), len(right)) > ALIGNED:
        yield False, start, start + len(left), start, start + len(right)
    else:
        for tag, a, b, c, d in SequenceMatcher(None, left, right).get_opcodes():
            yield tag == "equal", start + a, start + b, start + c, start + d
    yield True, len(old) - end, len(old), len(new) - end, len(new)


def _words(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]] | None:
    """Both lines with their changed words marked; None when they are too long or too different."""
    left, right = _WORD.findall(old), _WORD.findall(new)
    if not left or not right or max(len(left), len(right)) > WORDS:
        return None
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    if matcher.ratio() < ALIKE:
        return None
    before: list[Piece] = []
    after: list[Piece] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        before += [(tag != "equal", "".join(left[a:b]))] if b > a else []
        after += [(tag != "equal", "".join(right[c:d]))] if d > c else []
    return tuple(before), tuple(after)


def _whole(line: str | None, *, changed: bool = False) -> tuple[Piece, ...]:
    return ((changed, line),) if line else ()


def _folded(rows: Sequence[Row]) -> Iterator[Row]:
    """Changes with a few lines around them; what lies between is counted."""
    near = [False] * len(rows)
    for n, row in enumerate(rows):
        if row.before != row.after or bool(row.left) != bool(row.right):
            for m in range(max(0, n - AROUND), min(len(rows), n + AROUND + 1)):
                near[m] = True
    hidden = 0
    for row, shown in zip(rows, near, strict=True):
        if not shown:
            hidden += 1
            continue
        if hidden:
            yield Row(skipped=hidden)
            hidden = 0
        yield row
    if hidden and any(near):
        yield Row(skipped=hidden)
