"""Stocks of codes: filled from a file or by chance, counted, and watched so that a low one is told once."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.db.models import Count, Q

from common.params import Invalid, Problem
from common.text import say
from segments.bulk import insert
from segments.imports.files import Row, open_file
from segments.ingest.limits import Refused
from segments.models import Coupon, CouponPool

log = logging.getLogger(__name__)
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # no I, L, O, 0, 1: people read codes aloud
LENGTH = 10  # 31 ** 10 codes: with a million handed out, one guess in 800 million hits
COLUMN = "code"
LONGEST = 60
BATCH = 1000
MOST = 1_000_000  # codes made at once
NEW = (("pool_id", "bigint"), ("code", "varchar"), ("state", "varchar"), ("order_ref", "varchar"))


@dataclass(frozen=True)
class Stock:
    """How many codes a pool has left; `low` when fewer than its threshold. Endless pools are never low."""

    free: int
    total: int
    low: bool


@dataclass(frozen=True)
class Refusal:
    """One row of a file that gave no code: its line, a code for programs, and the row."""

    line: int
    code: str
    row: Mapping[str, Any]

    @property
    def reason(self) -> str:
        """Why, in the active language."""
        return say(*REASONS[self.code])


REASONS = {
    "empty": ("the row has no code", "该行没有券码"),
    "too_long": (f"a code may have {LONGEST} characters", f"券码最长 {LONGEST} 个字符"),
    "not_plain": ("a code is made of printable characters without spaces", "券码只含可见字符，不含空格"),
    "twice": ("the file names this code twice", "文件中该券码重复"),
    "here": ("the pool has this code already", "券池已有该券码"),
    "elsewhere": ("another pool has this code", "其他券池已有该券码"),
    "unreadable": ("the row cannot be read", "该行无法读取"),
}


@dataclass(frozen=True)
class Loaded:
    """What a file did: rows read, codes that are new, rows refused."""

    rows: int = 0
    added: int = 0
    refused: int = 0


def load(pool: CouponPool, path: Path, *, refuse: Callable[[Refusal], None]) -> Loaded:
    """Fill the pool from a CSV, JSONL or Parquet file with a column "code", a batch at a time.

    Codes are taken as they stand, but for spaces around them. `refuse` is told of every row that gives none; the
    same file once more adds nothing. Raises Invalid for a file that cannot be read.
    """
    reader = open_file(path)
    if reader.columns and COLUMN not in reader.columns:
        said = say(f"the file has no column '{COLUMN}'", f"文件没有名为“{COLUMN}”的列")
        raise Invalid([Problem("file", said)])
    done, seen = Loaded(), set[str]()
    for rows in _batches(reader.rows([COLUMN], skip=0)):
        wanted, refused = _sort(rows, seen)
        added = _store(pool, wanted)
        refused += _known(pool, wanted, added)
        for one in sorted(refused, key=lambda refusal: refusal.line):
            refuse(one)
        done = replace(done, rows=done.rows + len(rows), added=done.added + len(added),
                       refused=done.refused + len(refused))  # fmt: skip
    return done


def generate(pool: CouponPool, count: int) -> int:
    """Fill the pool with exactly `count` new random codes that nobody can guess; returns how many were made."""
    made = 0
    while made < min(count, MOST):
        made += len(_store(pool, dict.fromkeys(new_code(pool.prefix) for _ in range(min(BATCH, count - made)))))
    return made


def new_code(prefix: str) -> str:
    """A code from the system's source of chance; with a prefix "HI" such as HI-7KQ2M9XWRD."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return f"{prefix}-{body}" if prefix else body


def stock(pool: CouponPool) -> Stock:
    """What the pool has left."""
    count = Coupon.objects.filter(pool=pool).aggregate(total=Count("pk"), free=Count("pk", filter=Q(state="free")))
    low = not pool.endless and count["free"] * 100 <= count["total"] * pool.low_stock
    return Stock(count["free"], count["total"], low)


def watch_stock(now: datetime) -> list[str]:
    """Note the pools that have run low, each once until it has been filled again; returns the keys of the new ones."""
    found = []
    for pool in CouponPool.objects.filter(endless=False).order_by("pk"):
        left = stock(pool)
        rows = CouponPool.objects.filter(pk=pool.pk)
        if not left.low or not left.total:
            rows.filter(low_since__isnull=False).update(low_since=None)
        elif rows.filter(low_since__isnull=True).update(low_since=now):
            log.warning("coupon pool %s is low: %d of %d codes are free", pool.key, left.free, left.total)
            found.append(pool.key)
    return found


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while some := list(islice(rows, BATCH)):
        yield some


def _sort(rows: Sequence[Row], seen: set[str]) -> tuple[dict[str, Row], list[Refusal]]:
    """The codes of a batch with their rows, and the rows that give none. `seen` are the codes of the file so far."""
    wanted, refused = dict[str, Row](), []
    for line, row in rows:
        code = "" if isinstance(row, Refused) else str(row.get(COLUMN) or "").strip()
        wrong = "unreadable" if isinstance(row, Refused) else _wrong(code) or ("twice" if code in seen else "")
        if wrong:
            refused.append(Refusal(line, wrong, {} if isinstance(row, Refused) else row))
        else:
            seen.add(code)
            wanted[code] = line, row
    return wanted, refused


def _wrong(code: str) -> str:
    if not code:
        return "empty"
    if len(code) > LONGEST:
        return "too_long"
    return "" if code.isprintable() and " " not in code else "not_plain"


def _store(pool: CouponPool, codes: Mapping[str, Any]) -> set[str]:
    """Insert free codes; returns those that nobody had."""
    rows = [(pool.pk, code, Coupon.State.FREE.value, "") for code in codes]
    if not rows:
        return set()
    return {str(code) for (code,) in insert("segments_coupon", NEW, rows, conflict="(code) DO NOTHING",
                                            returning="code")}  # fmt: skip


def _known(pool: CouponPool, wanted: Mapping[str, Row], added: set[str]) -> list[Refusal]:
    """Codes that were there already, with whose they are."""
    rest = [code for code in wanted if code not in added]
    here = set(Coupon.objects.filter(pool=pool, code__in=rest).values_list("code", flat=True)) if rest else set()
    return [Refusal(wanted[code][0], "here" if code in here else "elsewhere", wanted[code][1]) for code in rest]
