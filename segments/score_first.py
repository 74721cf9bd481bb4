"""The first scores of many people in one statement, on PostgreSQL: those who ordered and were never scored.

An import of a shop's history scores everybody at once. At first sight nothing is held back (no hysteresis, no days
that must pass), so the rules of segments.rfm and segments.lifecycle are plain sums over somebody's orders, and the
rows, the history and the facts are made where the orders lie. The answers are those of segments.scores, row by row;
tests/segments/test_score_first.py compares them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from common.clock import is_postgres
from common.periods import local_date, start_of_day
from segments.arrays import literal
from segments.facts import names
from segments.facts.append import engine_source, selected
from segments.facts.position import ensure_cluster
from segments.lifecycle import CHURNED, DEAD_DAYS, GROWING_ORDERS, NEWCOMER_ORDERS, OWN_RHYTHM
from segments.rfm import CELL_OF, Edges
from segments.stage_presets import COMMERCE

AHEAD = 2000  # days whose beginning is told; beyond them the database's own reckoning serves

_WHO = """
who AS MATERIALIZED (
  SELECT p.id, p.shard, p.no_profiling FROM segments_profile p
  WHERE p.id = ANY(%(ids)s::bigint[]) AND p.merged_into_id IS NULL AND p.erased_at IS NULL
), bought AS MATERIALIZED (
  SELECT o.profile_id, o.placed_at, COALESCE(o.net_reporting, 0) AS net, o.placed_at <= %(now)s::timestamptz AS past,
    (o.placed_at AT TIME ZONE %(zone)s::text)::date AS day
  FROM segments_order o JOIN who ON who.id = o.profile_id
  WHERE o.profile_id = ANY(%(ids)s::bigint[]) AND NOT who.no_profiling AND o.state IN ('placed', 'paid')
), sums AS (
  SELECT profile_id, min(placed_at) FILTER (WHERE past) AS first_at, max(placed_at) FILTER (WHERE past) AS last_at,
    count(*) FILTER (WHERE past) AS n, COALESCE(sum(net) FILTER (WHERE past), 0)::bigint AS net,
    min(day) FILTER (WHERE past) AS first_day, max(day) FILTER (WHERE past) AS last_day,
    count(*) FILTER (WHERE past AND day > %(opens)s::date) AS n_in,
    COALESCE(sum(net) FILTER (WHERE past AND day > %(opens)s::date), 0)::bigint AS net_in,
    min(day) FILTER (WHERE past AND day > %(opens)s::date) AS first_in,{days_in}
    min(placed_at) FILTER (WHERE NOT past) AS due
  FROM bought GROUP BY profile_id
), gaps AS (
  SELECT profile_id, percentile_cont(0.9) WITHIN GROUP (ORDER BY gap) AS own FROM (
    SELECT profile_id, day - lag(day) OVER (PARTITION BY profile_id ORDER BY day) AS gap
    FROM (SELECT DISTINCT profile_id, day FROM bought WHERE past) AS days) AS between_days
  GROUP BY profile_id HAVING count(*) >= %(own_rhythm)s::int
)"""  # of the first day there is no gap, but it counts as a day, and the percentile passes over it

_JUDGED = """
limits AS (
  SELECT who.id, who.shard, sums.*, gaps.own, %(today)s::date - last_day AS silent,
    COALESCE(own, CASE WHEN first_day <> last_day THEN %(warn)s::float8 ELSE %(first_warn)s::float8 END) AS warn,
    LEAST(COALESCE(%(churned)s::float8 * own, CASE WHEN first_day <> last_day THEN %(churn)s::float8
      ELSE %(first_churn)s::float8 END), %(dead)s::float8) AS churn,
    CASE WHEN %(money)s::text = 'mean' THEN net_in::float8 / NULLIF(n_in, 0) ELSE net_in END AS amount,
    n_in > 0 AND %(scores)s::boolean AS scored, {often} AS often
  FROM who LEFT JOIN sums ON sums.profile_id = who.id LEFT JOIN gaps ON gaps.profile_id = who.id
), marks AS (
  SELECT *, CASE WHEN last_at IS NULL THEN 'prospect' WHEN silent > churn THEN 'lapsed'
      WHEN silent > warn THEN 'at_risk' WHEN n <= %(newcomer)s::int THEN 'newcomer'
      WHEN n <= %(growing)s::int THEN 'growing' ELSE 'mature' END AS stage,
    CASE WHEN scored THEN 5 - (SELECT count(*) FROM unnest(%(recency)s::float8[]) AS e WHERE e < silent) END AS r,
    CASE WHEN scored THEN 1 + (SELECT count(*) FROM unnest(%(frequency)s::float8[]) AS e WHERE e < often) END AS f,
    CASE WHEN scored THEN 1 + (SELECT count(*) FROM unnest(%(monetary)s::float8[]) AS e WHERE e < amount) END AS m,
    LEAST(
      CASE WHEN silent <= trunc(warn) THEN last_day + trunc(warn)::int + 1 END,
      CASE WHEN silent <= trunc(churn) THEN last_day + trunc(churn)::int + 1 END,
      first_in + %(window)s::int,
      CASE WHEN n_in > 0 THEN (SELECT last_day + min(edge) + 1 FROM unnest(%(crossed)s::int[]) AS edge
        WHERE edge >= silent) END) AS turn
  FROM limits
), judged AS MATERIALIZED (
  SELECT marks.*, COALESCE(%(cells)s::jsonb ->> (r::text || f::text), '') AS cell,
    CASE WHEN scored THEN CASE WHEN amount > %(mean_m)s::float8 THEN 'key_' ELSE 'common_' END
      || CASE WHEN silent <= %(mean_r)s::float8 THEN CASE WHEN often > %(mean_f)s::float8 THEN 'value' ELSE 'growth' END
         ELSE CASE WHEN often > %(mean_f)s::float8 THEN 'keep' ELSE 'win_back' END END ELSE '' END AS octant,
    LEAST(COALESCE(begins.at, marks.turn::timestamp AT TIME ZONE %(zone)s::text), due) AS turns_at,
    CASE WHEN stage NOT IN ('at_risk', 'lapsed') THEN 'ordered' WHEN own IS NULL THEN 'silent_usual'
      ELSE 'silent_own' END AS why,
    CASE WHEN stage IN ('at_risk', 'lapsed')
      THEN trim_scale(round((CASE stage WHEN 'lapsed' THEN churn ELSE warn END)::numeric, 6)) END AS bound
  FROM marks LEFT JOIN unnest(%(days)s::date[], %(instants)s::timestamptz[]) AS begins(day, at)
    ON begins.day = marks.turn
)"""

# What F counts: orders, or the days with one (which takes a sort of each person's days).
_OFTEN = {
    "orders": {"days_in": "", "often": "n_in"},
    "days": {"days_in": " count(DISTINCT day) FILTER (WHERE past AND day > %(opens)s::date) AS days_in,",
             "often": "days_in"},
}  # fmt: skip

_WRITTEN = """
written AS (
  INSERT INTO segments_scores (profile_id, r, f, m, cell, octant, orders, spent, first_order_at, last_order_at,
    orders_ever, spent_ever, gap_days, stage, stage_since, stage_next, stage_next_since, won_back_until, next_change_at,
    edges_id, computed_at)
  SELECT id, r, f, m, cell, octant, COALESCE(n_in, 0), COALESCE(net_in, 0), first_at, last_at, COALESCE(n, 0),
    COALESCE(net, 0), own, stage, %(now)s::timestamptz, '', NULL, NULL, turns_at, %(edges)s::bigint,
    %(now)s::timestamptz
  FROM judged ON CONFLICT (profile_id) DO NOTHING RETURNING profile_id
), new AS MATERIALIZED (
  SELECT judged.*, COALESCE((SELECT true FROM segments_event e WHERE e.profile_id = judged.id AND e.live
    AND e.name = ANY(%(order_facts)s::text[]) LIMIT 1), false) AS live
  FROM judged JOIN written ON written.profile_id = judged.id
), changed AS (
  INSERT INTO segments_stagechange (profile_id, at, before, after, reason)
  SELECT id, %(now)s::timestamptz, '', stage,
    why || ':orders=' || n || ',silent=' || silent || COALESCE(',limit=' || bound, '')
  FROM new WHERE stage <> 'prospect' ORDER BY id
), told AS (
  SELECT id AS profile_id, shard, %(stage_changed)s::text AS name, 'stage:' || id || ':' || %(at)s::text || ':' || stage
      AS key, jsonb_strip_nulls(jsonb_build_object('before', '', 'after', stage, 'reason', why, 'orders', n,
      'silent', silent, 'limit', bound)) AS properties, live
  FROM new WHERE stage <> 'prospect'
  UNION ALL
  SELECT id, shard, %(rfm_changed)s::text, 'rfm:' || id || ':' || %(at)s::text || ':' || octant || ':' || r || f || m,
    jsonb_build_object('before', '', 'after', cell), live
  FROM new WHERE scored
)"""

_BY_INDEX = "SELECT set_config('random_page_cost', '1.1', true)"  # until the end of the transaction: few of many rows


def score_first(ids: Collection[int], *, now: datetime, zone: ZoneInfo, edges: Edges) -> int | None:
    """Score those of the people who have no row yet and are alive; returns how many rows were written.

    None, and nothing done, where that is left to segments.scores: another database, or stages judged by activity.
    Call inside a transaction.
    """
    if not is_postgres() or edges.preset != COMMERCE:
        return None
    if not ids:
        return 0
    ensure_cluster()
    told = selected("told")
    who, judged = (part.format(**_OFTEN[edges.counted]) for part in (_WHO, _JUDGED))
    sql = f"WITH {who}, {judged}, {_WRITTEN}, facts AS ({told}) SELECT count(*) FROM written"
    with connection.cursor() as cursor:
        cursor.execute(_BY_INDEX)
        cursor.execute(sql, _given(ids, now, zone, edges))
        return int(cursor.fetchone()[0])


def _given(ids: Collection[int], now: datetime, zone: ZoneInfo, edges: Edges) -> dict[str, Any]:
    today, rhythm = local_date(now, zone), edges.rhythm
    days, instants = _beginnings(today, zone)
    return {
        "ids": literal("bigint", sorted(ids)), "now": now, "at": now.isoformat(), "zone": zone.key, "today": today,
        "opens": today - timedelta(days=edges.window_days), "window": edges.window_days, "money": edges.money,
        "own_rhythm": OWN_RHYTHM, "churned": CHURNED, "dead": DEAD_DAYS, "newcomer": NEWCOMER_ORDERS,
        "growing": GROWING_ORDERS, "warn": rhythm.warn, "churn": rhythm.churn, "first_warn": rhythm.first_warn,
        "first_churn": rhythm.first_churn, "scores": bool(edges.recency), "recency": _floats(edges.recency),
        "frequency": _floats(edges.frequency), "monetary": _floats(edges.monetary), "mean_r": edges.means[0],
        "mean_f": edges.means[1], "mean_m": edges.means[2], "cells": json.dumps(CELL_OF), "edges": edges.pk,
        "crossed": [int(edge) for edge in (*edges.recency, edges.means[0])], "days": days, "instants": instants,
        "order_facts": sorted(names.ORDER_FACTS), "stage_changed": names.STAGE_CHANGED,
        "rfm_changed": names.RFM_CHANGED, "source": engine_source(),
    }  # fmt: skip


def _floats(values: Sequence[float]) -> list[float]:
    return [float(value) for value in values]


@lru_cache(maxsize=4)
def _beginnings(today: date, zone: ZoneInfo) -> tuple[str, str]:
    """The days to come and the instants at which they begin: a midnight that is skipped or comes twice is reckoned
    here as everywhere."""
    days = [today + timedelta(days=number) for number in range(1, AHEAD)]
    return literal("date", days), literal("timestamptz", [start_of_day(day, zone) for day in days])
