"""Appending facts: once each by source and key, with the lifetime rows in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from common.clock import is_postgres
from segments.arrays import literal
from segments.bulk import plain
from segments.facts.fact import NewFact
from segments.facts.names import ENGINE_SOURCE
from segments.facts.position import ensure_cluster
from segments.models import Source

BATCH = 500
COLUMNS = (
    ("source_id", "bigint"), ("key", "text"), ("profile_id", "bigint"), ("shard", "smallint"), ("kind", "text"),
    ("name", "text"), ("occurred_at", "timestamptz"), ("received_at", "timestamptz"), ("value", "bigint"),
    ("live", "boolean"), ("flags", "text"), ("depth", "smallint"),
)  # fmt: skip
OBJECTS = ("properties", "context")
NAMES = ", ".join((*(name for name, _ in COLUMNS), *OBJECTS))
SYSTEM = "system"  # the kind of the engine's own facts, which leave no lifetime row
EngineFact = tuple[int, int, str, str, dict[str, Any]]


def append_facts(facts: Sequence[NewFact], *, now: datetime) -> list[int]:
    """Append facts; returns the indexes of those that were new, in order. Call inside a transaction.

    A (source, key) that is already there changes nothing. For each new fact of a sender (not the engine's own)
    the lifetime row of (profile, name) is brought up to date in the same transaction.
    """
    if not facts:
        return []
    if is_postgres():
        ensure_cluster()
    first: dict[tuple[int, str], int] = {}
    for index, fact in enumerate(facts):
        first.setdefault((fact.source, fact.key), index)
    wanted = list(first.values())  # in the order of the facts
    fresh: list[int] = []
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        found = _insert([_row(facts[index], now) for index in part])
        if len(found) < len(part):
            new = set(found)
            part = [index for index in part if (facts[index].source, facts[index].key) in new]
        fresh += part
    if not is_postgres():
        _raise_stats([facts[index] for index in fresh if facts[index].kind != SYSTEM])
    return fresh


def append_engine_facts(facts: Iterable[EngineFact], *, now: datetime, live: bool = True, depth: int = 0) -> list[int]:
    """Append the engine's own facts, given as (profile id, shard, name, key, properties), at `now`."""
    source = engine_source()
    return append_facts(
        [
            NewFact(profile, shard, name, now, key, source, kind=SYSTEM, properties=said, live=live, depth=depth)
            for profile, shard, name, key, said in facts
        ],
        now=now,
    )


def selected(rows: str) -> str:
    """The statement for PostgreSQL that appends what the engine itself states of many people, read from `rows`
    (profile_id, shard, name, key, properties, live) of the same statement. Named parameters: the engine's `source`
    and `now`. Call `ensure_cluster` before."""
    return (
        f"INSERT INTO segments_event ({NAMES}, tx)"
        f" SELECT %(source)s::bigint, key, profile_id, shard, '{SYSTEM}', name, %(now)s::timestamptz,"
        f" %(now)s::timestamptz, NULL, live, '', 0, properties, '{{}}'::jsonb, {_TX} FROM {rows}"
        " ON CONFLICT (source_id, key) DO NOTHING"
    )


def engine_source() -> int:
    """The id of the engine's own source, made at first use."""
    source, _ = Source.objects.get_or_create(
        key=ENGINE_SOURCE, defaults={"name": "Engine", "name_zh": "引擎", "kind": Source.Kind.ENGINE}
    )
    return int(source.pk)


def _row(fact: NewFact, now: datetime) -> tuple[Any, ...]:
    return (
        fact.source, fact.key, fact.profile, fact.shard, fact.kind, fact.name, fact.occurred_at, now, fact.value,
        fact.live, fact.flags, fact.depth, fact.properties, fact.context,
    )  # fmt: skip


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _insert(rows: list[tuple[Any, ...]]) -> list[tuple[int, str]]:
    """Insert rows in one statement; returns (source, key) of those that were not there.

    On PostgreSQL the same statement brings the lifetime rows up to date.
    """
    with connection.cursor() as cursor:
        if is_postgres():
            *columns, properties, context = zip(*rows, strict=True)
            cursor.execute(_POSTGRES, [*_literals(COLUMNS, columns), _encode(properties), _encode(context)])
        else:
            flat = [_simple(value) for row in rows for value in row]
            values = ", ".join([f"({', '.join(['%s'] * len(rows[0]))}, 0)"] * len(rows))
            cursor.execute(_SQLITE.format(values=values), flat)
        there_now: list[tuple[int, str]] = cursor.fetchall()
        return there_now


def _literals(columns: Sequence[tuple[str, str]], values: Iterable[Sequence[Any]]) -> list[Any]:
    return [literal(kind, column) for (_, kind), column in zip(columns, values, strict=True)]


def _simple(value: Any) -> Any:
    """A value as SQLite takes it."""
    if isinstance(value, datetime):
        return plain(value)
    return _encode(value) if isinstance(value, Mapping) else value


STATS = "segments_eventstats (profile_id, name, first_at, last_at, count, amount)"
_MERGE = (
    " ON CONFLICT (profile_id, name) DO UPDATE SET"
    " first_at = {least}(segments_eventstats.first_at, excluded.first_at),"
    " last_at = {greatest}(segments_eventstats.last_at, excluded.last_at),"
    " count = segments_eventstats.count + excluded.count,"
    " amount = COALESCE(segments_eventstats.amount + excluded.amount, segments_eventstats.amount, excluded.amount)"
)
_TX = (
    "(SELECT pg_current_xact_id()::text::bigint"
    " + COALESCE((SELECT tx_offset FROM common_instance WHERE id = 1), 0))"
)  # in a SELECT of its own it is worked out once a statement
_POSTGRES = (
    f"WITH new AS (INSERT INTO segments_event ({NAMES}, tx) SELECT {NAMES}, {_TX} FROM ROWS FROM (unnest("
    + ", ".join(f"%s::{kind}[]" for _, kind in COLUMNS)
    + "), jsonb_array_elements(%s::jsonb), jsonb_array_elements(%s::jsonb))"
    + f" AS given({NAMES}) ON CONFLICT (source_id, key) DO NOTHING"
    + " RETURNING source_id, key, profile_id, name, occurred_at, value, kind),"
    + f" counted AS (INSERT INTO {STATS}"
    + " SELECT profile_id, name, min(occurred_at), max(occurred_at), count(*), sum(value)::bigint"
    + f" FROM new WHERE kind <> '{SYSTEM}' GROUP BY profile_id, name ORDER BY profile_id, name"  # against deadlocks
    + _MERGE.format(least="LEAST", greatest="GREATEST")
    + ") SELECT source_id, key FROM new"
)
_SQLITE = (
    f"INSERT INTO segments_event ({NAMES}, tx) VALUES {{values}}"
    " ON CONFLICT (source_id, key) DO NOTHING RETURNING source_id, key"
)


Lifetime = tuple[int, str, datetime, datetime, int, int | None]


def lifetimes(facts: Iterable[NewFact]) -> list[Lifetime]:
    """(profile, name, first, last, count, amount) of the given facts."""
    found: dict[tuple[int, str], tuple[datetime, datetime, int, int | None]] = {}
    for fact in facts:
        at, value = fact.occurred_at, fact.value
        known = found.get((fact.profile, fact.name))
        if known is None:
            found[fact.profile, fact.name] = (at, at, 1, value)
        else:
            low, high, count, amount = known
            total = value if amount is None else amount + (value or 0)
            found[fact.profile, fact.name] = (min(low, at), max(high, at), count + 1, total)
    return [(*key, *found[key]) for key in sorted(found)]


def _raise_stats(facts: Sequence[NewFact]) -> None:
    """Add facts to the lifetime rows of their people, on SQLite: one upsert per batch."""
    rows = lifetimes(facts)
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        flat = [_simple(value) for row in part for value in row]
        values = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(part))
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {STATS} VALUES {values}" + _MERGE.format(least="MIN", greatest="MAX"), flat)
