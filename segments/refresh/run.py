"""Refreshing segments: which pass is due, in which order, and what is noted when it fails."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from common.clock import database_now, is_postgres
from common.semijoin import among
from common.states import move
from segments.facts.names import MERGED
from segments.facts.position import horizon
from segments.models import Membership, Segment, SegmentRun
from segments.refresh.candidates import Choice, changed, find_candidates
from segments.refresh.everyone import begin_everyone, refresh_everyone
from segments.refresh.failures import noted, said
from segments.refresh.staging import settle
from segments.refresh.task import (
    AT_ONCE,
    Refreshed,
    Task,
    arrive,
    batches,
    count_members,
    end,
    lock,
    read_task,
    start,
    whole_choice,
    write,
)
from segments.rules.compile import matching
from segments.rules.order import in_order, read_by

log = logging.getLogger(__name__)
BATCH = 2000


def refresh_due(now: datetime) -> list[Refreshed]:
    """Refresh every active segment, those that others read first. A failing one is noted and the rest go on."""
    rows = {row.key: row for row in Segment.objects.filter(state=Segment.State.ACTIVE)}
    done = []
    for key in in_order(read_by((row.key, row.rule) for row in rows.values())):
        try:
            done.append(refresh_segment(rows[key], now))
        except Exception as error:
            log.exception("segment %s could not be refreshed", key)
            done.append(Refreshed(key, "failed", error=said(error)))
    _settle_idle(now)
    return done


def refresh_segment(segment: Segment, now: datetime) -> Refreshed:
    """Bring one segment's members up to `now`, by the cheapest pass that is right.

    The segment's cursor, its `now`, the difference and its facts are committed together; where that is too much for
    one transaction, see `segments.refresh.staging`. Raises what went wrong after noting it on the segment.
    """
    with noted(segment, now):
        if segment.staged is not None and not settle(segment.pk):
            return Refreshed(segment.key, "busy")
        done = _refresh_changed(segment.pk, now)
        begun = begin_everyone(segment.pk, now, choice=done) if isinstance(done, Choice) else done
    if isinstance(begun, Refreshed):
        return begun
    with noted(segment, now, run=begun.run):
        return refresh_everyone(begun)


def _settle_idle(now: datetime) -> None:
    """Segments that were paused or archived in the middle of a pass: what it left is settled all the same."""
    for segment in Segment.objects.exclude(state=Segment.State.ACTIVE).filter(staged__isnull=False):
        try:
            with noted(segment, now):
                settle(segment.pk)
        except Exception:
            log.exception("what a pass left of segment %s could not be settled", segment.key)


def give_rule(segment: Segment, raw: Any, *, fire: bool = False) -> list[str]:
    """Give a segment a rule that is proven; the caller saves it with whatever else. The next refresh builds it anew,
    silently unless `fire`. Returns the columns it set."""
    segment.rule, segment.fire_on_build = raw, fire
    segment.rule_number += 1
    return ["rule", "fire_on_build", "rule_number"]


def build_anew(segment: Segment, *, fire: bool) -> None:
    """Have the members built anew at the next refresh though the rule is the same; silently unless `fire`."""
    Segment.objects.filter(pk=segment.pk).update(built_number=0, fire_on_build=fire)


def cancel_run(run: SegmentRun) -> bool:
    """Stop a build under way and pause its segment, which would begin again otherwise; the members stay who they are.
    False if it had ended."""
    own = SegmentRun.objects.filter(pk=run.pk)
    with transaction.atomic():
        lock(run.segment_id, wait=True)
        if not move(own, SegmentRun.MOVES, SegmentRun.State.CANCELLED, finished_at=database_now()):
            return False
        move(Segment.objects.filter(pk=run.segment_id), Segment.MOVES, Segment.State.PAUSED)
        return True


def _refresh_changed(pk: int, now: datetime) -> Refreshed | Choice:
    """The pass over those who may have changed, in one transaction; or why everyone is to be looked at instead."""
    with transaction.atomic():
        segment = lock(pk, wait=False)
        if segment is None or segment.staged is not None:
            return Refreshed(segment.key if segment else str(pk), "busy")
        task = read_task(segment, now)
        if (forced := whole_choice(task)) is not None:
            return forced
        _plan_for_few()
        since = task.since(horizon())
        ids, choice = find_candidates(task.rule, since)
        if ids is None:
            return choice
        entering, leaving = _difference(task, ids)
        if len(entering) + len(leaving) > AT_ONCE:
            return Choice(SegmentRun.Why.MOVES, len(entering) + len(leaving), AT_ONCE)
        report = Refreshed(segment.key, "changed", candidates=len(ids))
        if entering or leaving:
            run = start(task, SegmentRun.Mode.CHANGED, choice)
            report = write(task, run, since, entering, leaving, report, fire=True)
            size = count_members(segment)
            end(run, report, size=size)
            arrive(task, since, size=size)
        elif ids and changed(frozenset({MERGED}), since).exists():
            arrive(task, since, size=count_members(segment))
        else:
            arrive(task, since)
        return report


def _plan_for_few() -> None:
    """Until the end of the transaction PostgreSQL plans for a few people among many: anew for each set of values
    (a plan for any values reads the whole log to find what is new in it), and with a random page at what it costs on
    solid state."""
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('plan_cache_mode', 'force_custom_plan', true),"
                " set_config('random_page_cost', '1.1', true)"
            )


def _difference(task: Task, ids: Collection[int]) -> tuple[list[int], list[int]]:
    """Who of the candidates enters, and who leaves."""
    entering: list[int] = []
    leaving: list[int] = []
    for batch in batches(sorted(ids), BATCH):
        now_in = matching(task.rule, batch, task.at)
        members = Membership.rows.filter(among("profile_id", batch), segment=task.segment)
        was_in = set(members.values_list("profile_id", flat=True))
        entering += now_in - was_in
        leaving += was_in - now_in
    return entering, leaving
