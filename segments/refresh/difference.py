"""Writing a difference: rows in, rows out, and a fact for each, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from common.clock import is_postgres
from common.semijoin import among
from segments.facts.append import append_facts, engine_source
from segments.facts.fact import NewFact
from segments.facts.names import SEGMENT_ENTERED, SEGMENT_LEFT
from segments.models import Profile, Segment, SegmentRun
from segments.refresh.candidates import Cause

_ENTER = (
    "INSERT INTO segments_membership (segment_id, profile_id, entered_at, counts_from)"
    " SELECT %s, segments_profile.id, %s, %s FROM segments_profile"
    " WHERE {among} AND merged_into_id IS NULL AND erased_at IS NULL"
    " ON CONFLICT (segment_id, profile_id) DO NOTHING RETURNING profile_id"
)
_LEAVE = "DELETE FROM segments_membership WHERE segment_id = %s AND {among} RETURNING profile_id"
_GO = "UPDATE segments_membership SET counts_until = %s WHERE segment_id = %s AND {among} RETURNING profile_id"


def enter(segment: Segment, ids: Collection[int], *, now: datetime) -> list[int]:
    """Make them members; returns those who were not yet."""
    return come_with(segment, ids, generation=0, now=now)


def leave(segment: Segment, ids: Collection[int]) -> list[int]:
    """Take their membership away; returns those who had one."""
    return _run(_LEAVE, "profile_id", [segment.pk], ids)


def come_with(segment: Segment, ids: Collection[int], *, generation: int, now: datetime) -> list[int]:
    """Let them be members from that generation of the segment on; returns those who were not yet."""
    at = now if is_postgres() else connection.ops.adapt_datetimefield_value(now)
    return _run(_ENTER, "segments_profile.id", [segment.pk, at, generation], ids)


def go_with(segment: Segment, ids: Collection[int], *, generation: int) -> list[int]:
    """Let them be members until that generation; returns those who are."""
    return _run(_GO, "profile_id", [generation, segment.pk], ids)


def tell(
    segment: Segment,
    run: SegmentRun,
    entered: Collection[int],
    left: Collection[int],
    *,
    causes: Mapping[int, Cause],
    now: datetime,
) -> None:
    """State entering and leaving as facts, once for each person and run."""
    shards = dict(Profile.objects.filter(among("pk", [*entered, *left])).values_list("pk", "shard"))
    source, said = engine_source(), {"segment": segment.key}
    moves = [(SEGMENT_ENTERED, "entered", entered), (SEGMENT_LEFT, "left", left)]
    facts = []
    for name, word, ids in moves:
        for person in sorted(ids):
            cause, key = causes.get(person, Cause()), f"{word}:{segment.pk}:{person}:{run.pk}"
            facts.append(
                NewFact(
                    person,
                    shards[person],
                    name,
                    now,
                    key,
                    source,
                    kind="system",
                    properties=said,
                    live=cause.live,
                    depth=cause.depth,
                )
            )
    append_facts(facts, now=now)


def _run(statement: str, column: str, params: list[Any], ids: Collection[int]) -> list[int]:
    if not ids:
        return []
    if is_postgres():
        test, given = f"{column} = ANY(%s::bigint[])", list(ids)
        with connection.cursor() as cursor:
            cursor.execute(statement.format(among=test), [*params, given])
            return [row[0] for row in cursor.fetchall()]
    test = f"{column} IN (SELECT value FROM json_each(%s))"
    with connection.cursor() as cursor:
        cursor.execute(statement.format(among=test), [*params, json.dumps(list(ids))])
        return [row[0] for row in cursor.fetchall()]
