"""Segments that read other segments: who must be refreshed first, and why a circle is refused."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from django.db import connection
from django.db.transaction import TransactionManagementError

from common.clock import is_postgres
from common.params import Invalid, Problem
from segments.models import Segment
from segments.rules.compile import reads_of
from segments.rules.parse import check_rule, parse_rule, read_rule
from segments.rules.tree import Rule

RULES = 0x53454752  # the advisory lock of this database for saving rules; "SEGR" in ASCII


def prove_rule(raw: object, *, key: str = "") -> Rule:
    """Read a rule that is about to be saved for the segment `key` (empty: a new one).

    Raises Invalid with every problem: of form, of names that do not exist, and of a circle of segments.
    """
    rule, problems = read_rule(raw)
    if rule is not None:
        problems += check_rule(rule)
        circle = find_circle(rule, key) if key else []
        if circle:
            problems.append(Problem("", "segments read each other in a circle: " + " → ".join(circle)))
    if problems or rule is None:
        raise Invalid(problems)
    return rule


def prove_for_saving(raw: object, *, key: str) -> Rule:
    """As `prove_rule`, and nobody else proves a rule to save until this transaction has ended: of two changes that
    close a circle only together, the second is refused. Call it in the transaction that saves, before a row is locked.
    """
    hold_rules()
    return prove_rule(raw, key=key)


def hold_rules() -> None:
    """Wait for whoever saves a rule just now, and let others wait until this transaction ends. On SQLite every
    transaction does so by itself, as it begins IMMEDIATE."""
    if not connection.in_atomic_block:
        raise TransactionManagementError("Rules are proven for saving in the transaction that saves.")
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [RULES])


def find_circle(rule: Rule, key: str) -> list[str]:
    """The keys of a circle that the segment `key` would close with this rule, or nothing."""
    inner = read_by(Segment.objects.exclude(key=key).values_list("key", "rule"))
    inner[key] = reads_of(rule).segments
    return _path(key, key, inner, set())


def read_by(segments: Iterable[tuple[str, object]]) -> dict[str, frozenset[str]]:
    """Which segments each segment's rule reads; a rule that cannot be read any more reads none."""
    found: dict[str, frozenset[str]] = {}
    for key, raw in segments:
        try:
            found[key] = reads_of(parse_rule(raw)).segments
        except Invalid:
            found[key] = frozenset()
    return found


def in_order(inner: Mapping[str, frozenset[str]]) -> list[str]:
    """Keys with every segment after those it reads, alphabetical otherwise; a circle comes last (Kahn, 1962)."""
    waiting = {key: {other for other in others if other in inner} for key, others in inner.items()}
    ready = [key for key, others in waiting.items() if not others]
    heapq.heapify(ready)
    done: list[str] = []
    while ready:
        key = heapq.heappop(ready)
        done.append(key)
        for other, others in waiting.items():
            if key in others:
                others.discard(key)
                if not others:
                    heapq.heappush(ready, other)
    return done + sorted(set(inner) - set(done))


def outer_of(key: str) -> list[str]:
    """Keys of all segments that read `key`, directly or through others."""
    inner = read_by(Segment.objects.values_list("key", "rule"))
    found: set[str] = set()
    ring = {key}
    while ring:
        ring = {outer for outer, others in inner.items() if others & ring} - found
        found |= ring
    return sorted(found - {key})


def _path(at: str, goal: str, inner: Mapping[str, frozenset[str]], seen: set[str]) -> list[str]:
    for other in sorted(inner.get(at, frozenset())):
        if other == goal:
            return [at, goal]
        if other not in seen:
            seen.add(other)
            rest = _path(other, goal, inner, seen)
            if rest:
                return [at, *rest]
    return []
