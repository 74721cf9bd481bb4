"""One row of health per person, kept for those with new facts and for those whose windows moved without any."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from django.conf import settings

from common.buckets import SHARDS
from common.periods import start_of_day, zone
from common.semijoin import among
from segments.facts import names
from segments.facts.fact import Fact
from segments.facts.read import process_shard, start_reader
from segments.health_bands import Held, Judged, held_until, score_of, settle
from segments.health_moves import FIELDS, Move, Reason, Row, tell_moves, write_moves
from segments.health_rules import rules_in_force
from segments.health_values import Measured, Rules, Values, measure_page
from segments.models import Cursor, Health, Profile
from segments.passes import causes, in_batches, in_rounds, locked_rows, next_of_everyone, next_of_silent

READER = "health"
PASS = "health:everyone"
PAGE = 2000
EVERYBODY = 5000  # people of one page of the pass over everybody
ALWAYS = frozenset({names.MERGED, names.CORRECTED, names.ERASED})


def judge_changed(now: datetime, *, shards: Iterable[int] = range(SHARDS)) -> dict[str, int]:
    """One look: new facts, windows that moved, and everyone's pass when the rules are new.

    Bounded; what is left is done at the next look. Returns how many rows each part wrote.
    """
    _start(now)
    rules = rules_in_force(now, zone=_zone())
    return {
        "facts": sum(judge_shard(shard, now, rules=rules) for shard in shards),
        "silence": in_rounds(partial(_next_of_silent, rules, now)),
        "everyone": in_rounds(partial(_next_of_everyone, rules, now)),
    }


def judge_all(now: datetime) -> int:
    """Everyone by the rules in force, to the end; returns how many rows were written."""
    _start(now)
    return in_rounds(partial(_next_of_everyone, rules_in_force(now, zone=_zone()), now), rounds=None)


def _start(now: datetime) -> None:
    """Read new facts alone: what was there before the first look is seen by the pass over everybody after it."""
    if not Cursor.objects.filter(reader=READER).exists():
        for shard in range(SHARDS):
            start_reader(READER, shard, now=now)


def judge_shard(shard: int, now: datetime, *, rules: Rules) -> int:
    """Judge the people of one page of new facts; returns how many rows were written."""
    wrote = 0

    def handle(facts: Sequence[Fact]) -> None:
        nonlocal wrote
        live, depth = causes(facts)
        wrote += judge_people(live, now=now, rules=rules, reason=Reason(live, depth))

    process_shard(READER, shard, handle, now=now, limit=PAGE, names=rules.facts() | ALWAYS)
    return wrote


def judge_people(ids: Collection[int], *, now: datetime, rules: Rules, reason: Reason | None = None) -> int:
    """Judge the given people and write those rows that differ, with their history and facts.

    Call inside a transaction. A handful of statements per batch; returns how many rows were written.
    """
    return in_batches(ids, partial(_judge_batch, now=now, rules=rules, reason=reason or Reason()))


def _judge_batch(ids: Sequence[int], *, now: datetime, rules: Rules, reason: Reason) -> int:
    before, here = locked_rows(Health, ids, FIELDS), _zone()
    measured = measure_page(ids, rules, now=now, zone=here)
    gone = [pk for pk in before if pk not in measured]
    if gone:  # merged or erased since
        Health.objects.filter(among("pk", gone)).delete()
    moves = []
    for pk, found in measured.items():
        old = before.get(pk)
        row, why = _judge(old, found, now=now, here=here, rules=rules)
        if row != old:
            moves.append(Move(pk, found.shard, old, row, why))
    if moves:
        write_moves(moves, now=now)
        tell_moves(moves, now=now, reason=reason)
    return len(moves)


def _judge(before: Row | None, found: Measured, *, now: datetime, here: ZoneInfo, rules: Rules) -> tuple[Row, str]:
    """The row of one person as of `now`, and why the band is what it is."""
    judged = score_of(found.now, rules.weights, rules.bounds)
    then = score_of(found.before, rules.weights, rules.bounds)
    trend = None if judged.score is None or then.score is None else round(judged.score - then.score, 3)
    judged = Judged(judged.score, judged.coverage, trend)
    known = None if before is None else Held(
        before["band"], before["since"] or now, before["pending"], before["pending_since"]
    )  # fmt: skip
    held = settle(known, judged, now=now, zone=here)
    days = [found.changes_on] if found.changes_on else []
    if held.pending_since:
        days.append(held_until(held.pending_since, here))
    row = {
        "rules_id": rules.pk, "score": judged.score, "coverage": judged.coverage, "trend": trend, "band": held.band,
        "since": held.since, "pending": held.pending, "pending_since": held.pending_since, "parts": _plain(found.now),
        "parts_before": _plain(found.before), "next_change_at": start_of_day(min(days), here) if days else None,
    }  # fmt: skip
    return row, held.reason


def _plain(values: Values) -> dict[str, float]:
    """The known values, as they are stored."""
    return {key: round(value, 6) for key, value in values.items() if value is not None}


def _next_of_everyone(rules: Rules, now: datetime) -> int | None:
    """The next page of the pass over everybody that new rules start. What the rules alone brought about may trigger
    nothing; who was due by silence anyway may."""

    def page(after: int) -> tuple[int, int | None]:
        alive = Profile.objects.filter(pk__gt=after, merged_into__isnull=True, erased_at__isnull=True)
        ids = list(alive.order_by("pk").values_list("pk", flat=True)[:EVERYBODY])
        due = Health.objects.filter(among("pk", ids), next_change_at__lte=now).values_list("pk", flat=True)
        quiet = Reason(dict.fromkeys(ids, False) | dict.fromkeys(due, True), rules=True)
        return judge_people(ids, now=now, rules=rules, reason=quiet), ids[-1] if ids else None

    return next_of_everyone(PASS, rules.pk or 0, page, now=now)


def _next_of_silent(rules: Rules, now: datetime) -> int | None:
    """The next batch of those whose windows have moved."""
    return next_of_silent(Health, partial(judge_people, now=now, rules=rules), now=now)


def _zone() -> ZoneInfo:
    return zone(settings.WORKSPACE_ZONE)
