"""Looking only at those who may have changed gives the same members as looking at everyone, whatever happens and
however the clock runs."""

from __future__ import annotations

import json
import random
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from common.buckets import shard_of
from segments import health_moves
from segments.facts import names
from segments.facts.append import append_engine_facts
from segments.lists import add_people, remove_people
from segments.merge import merge
from segments.models import Health, Identity, Membership, Order, Profile, Scores, Segment, SegmentRun, Wallet
from segments.models.groups import StaticList
from segments.refresh import refresh_due
from segments.rules.compile import people
from segments.rules.operators import At
from segments.rules.parse import parse_rule
from tests.segments.refresh.settled import settle_log
from tests.segments.rules.wellness import random_health
from tests.segments.rules.world import (
    BASE,
    STAGES,
    ZONE,
    Fact,
    near,
    random_fact,
    random_order,
    random_person,
    random_rule,
    store,
    write_engine_facts,
    write_facts,
    write_order,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_incremental_equals_full(rng: random.Random, prove: bool, settings: Any) -> None:
    settings.WORKSPACE_ZONE = "Asia/Shanghai"
    store([random_person(rng) for _ in range(60 if prove else 25)])
    make_segments(rng, 30 if prove else 10)
    now, modes = BASE, set()
    for step in range(150 if prove else 15):
        for _ in range(rng.randint(0, 3)):
            happen(rng, now)
        now = later(rng, now)
        settle_log()
        reports = refresh_due(now)
        settle_log()
        reports += refresh_due(now)  # on PostgreSQL an outer segment may see its inner one's facts only now
        assert not [report for report in reports if report.error]
        modes |= {report.mode for report in reports}
        compare(now, step)
    assert {"build", "changed", "full"} <= modes


def make_segments(rng: random.Random, count: int) -> None:
    for number in range(count):
        raw = random_rule(rng, depth=2)
        if number and rng.random() < 0.5:
            inner = inside(rng, f"s{rng.randrange(number)}")
            raw = {rng.choice(["all", "any"]): [raw, rng.choice([inner, {"not": inner}])]}
        Segment.objects.create(key=f"s{number}", name=str(number), rule=raw)
    Segment.objects.create(key="daily", name="d", rule=_leaf("trait", trait="registered_at", op="last_days", days=2))
    Segment.objects.create(key="none", name="n", rule=_leaf("event_count", event="Viewed", op="exactly", count=0))


def inside(rng: random.Random, key: str) -> dict[str, Any]:
    """Who is, or was lately, in another segment."""
    if rng.random() < 0.5:
        return _leaf("in_segment", segment=key)
    how = rng.choice(["entered", "left", "was_in"])
    return _leaf("segment_history", segment=key, how=how, days=rng.choice([0.5, 1, 3]))


def _leaf(op: str, /, **params: Any) -> dict[str, Any]:
    return {"op": op, "params": params}


def later(rng: random.Random, now: datetime) -> datetime:
    """A step of the clock: often small, sometimes days, sometimes back, sometimes none."""
    minutes = rng.choice([0, 1, 5, 60, 600, 1440, 4000, -1, -90, -1440, -6000])
    return now + timedelta(minutes=minutes)


def compare(now: datetime, step: int) -> None:
    for segment in Segment.objects.filter(state="active"):
        expected = set(people(parse_rule(segment.rule), At(now, ZONE)).values_list("pk", flat=True))
        members = set(segment.memberships.values_list("profile_id", flat=True))
        assert members == expected, (step, segment.key, now, json.dumps(segment.rule))
        segment.refresh_from_db()
        assert segment.size == len(expected)


def happen(rng: random.Random, now: datetime) -> None:
    """Something that ingest, scoring, growth or an operator may do."""
    alive = list(Profile.objects.filter(merged_into=None, erased_at=None))
    often = [one_fact, one_fact, one_fact, one_order, one_order, moved_group, achieved, listed]
    rng.choice([*often, born, cancelled, moved_stage, moved_health, paid, told, erased, joined])(
        rng, rng.choice(alive), now
    )


def one_fact(rng: random.Random, row: Profile, now: datetime) -> None:
    write_facts(row, [random_fact(rng)])


def one_order(rng: random.Random, row: Profile, now: datetime) -> None:
    write_order(row, random_order(rng))


def born(rng: random.Random, row: Profile, now: datetime) -> None:
    """Somebody new comes in with any fact at all."""
    public = uuid.uuid4()
    fresh = Profile.objects.create(
        public_id=public, shard=shard_of(public), bucket=rng.randrange(10_000), first_seen_at=now, last_seen_at=now,
        registered_at=now,
    )  # fmt: skip
    write_facts(fresh, [Fact("page", near(rng), {})])


def cancelled(rng: random.Random, row: Profile, now: datetime) -> None:
    with transaction.atomic():
        Order.objects.filter(profile=row, state="paid").update(state="cancelled")
        write_facts(row, [Fact("Order Cancelled", now, {})])


def moved_stage(rng: random.Random, row: Profile, now: datetime) -> None:
    with transaction.atomic():
        values = {
            "stage": rng.choice(STAGES),
            "stage_since": now,
            "computed_at": now,
            "cell": rng.choice(["lost", "new"]),
            "r": 3,
        }
        Scores.objects.update_or_create(profile=row, defaults=values)
        for name in (names.STAGE_CHANGED, names.RFM_CHANGED):
            append_engine_facts([(row.pk, row.shard, name, uuid.uuid4().hex, {})], now=now)


def moved_health(rng: random.Random, row: Profile, now: datetime) -> None:
    """The row as judging writes it, with the facts that it tells, and no others."""
    with transaction.atomic():
        old = Health.objects.filter(profile=row).values(*health_moves.FIELDS).first()
        drawn = dict.fromkeys(health_moves.FIELDS) | {"coverage": 1.0, "pending": "", "parts": {}, "parts_before": {}}
        move = health_moves.Move(row.pk, row.shard, old, drawn | random_health(rng), "score")
        health_moves.write_moves([move], now=now)
        health_moves.tell_moves([move], now=now, reason=health_moves.Reason())


def paid(rng: random.Random, row: Profile, now: datetime) -> None:
    with transaction.atomic():
        Wallet.objects.update_or_create(profile=row, defaults={"balance": rng.randint(-5, 8)})
        append_engine_facts([(row.pk, row.shard, names.POINTS_CHANGED, uuid.uuid4().hex, {})], now=now)


def moved_group(rng: random.Random, row: Profile, now: datetime) -> None:
    """Entering or leaving one of the segments that somebody else refreshes."""
    segment = Segment.objects.get(key=rng.choice(["one", "two"]))
    with transaction.atomic():
        left, _ = Membership.objects.filter(segment=segment, profile=row).delete()
        if not left:
            Membership.objects.create(segment=segment, profile=row, entered_at=now)
        name = names.SEGMENT_LEFT if left else names.SEGMENT_ENTERED
        write_engine_facts(row, [(name, now, {"segment": segment.key})])


def achieved(rng: random.Random, row: Profile, now: datetime) -> None:
    write_engine_facts(row, [(names.MISSION_COMPLETED, now, {"mission": "task"})])


def listed(rng: random.Random, row: Profile, now: datetime) -> None:
    target, _ = StaticList.objects.get_or_create(key=rng.choice(["spring", "autumn"]), defaults={"name": "list"})
    rng.choice([add_people, remove_people])(target, [row.pk], now=now)


def told(rng: random.Random, row: Profile, now: datetime) -> None:
    """Traits and names that come with any call."""
    with transaction.atomic():
        kind = rng.choice(["user_id", "email", "phone"])
        Identity.objects.create(kind=kind, value=uuid.uuid4().hex, profile=row, created_at=now)
        said = random_person(rng)
        Profile.objects.filter(pk=row.pk).update(traits=said.traits, city=said.columns["city"])
        write_facts(row, [Fact(rng.choice(["identify", "Viewed"]), now, {})])


def erased(rng: random.Random, row: Profile, now: datetime) -> None:
    with transaction.atomic():
        Profile.objects.filter(pk=row.pk).update(erased_at=now)
        append_engine_facts([(row.pk, row.shard, names.ERASED, uuid.uuid4().hex, {})], now=now)


def joined(rng: random.Random, row: Profile, now: datetime) -> None:
    others = Profile.objects.filter(merged_into=None, erased_at=None).exclude(pk=row.pk)
    merge(row, rng.choice(list(others)), now=now, actor="test", reason="the same person", force=True)


def test_a_refresh_without_change_writes_nothing(rng: random.Random) -> None:
    store([random_person(rng) for _ in range(10)])
    Segment.objects.create(key="a", name="a", rule={"all": []})
    refresh_due(BASE)
    runs, rows = SegmentRun.objects.count(), set(Membership.objects.values_list("pk", "entered_at"))
    settle_log()
    refresh_due(BASE + timedelta(hours=1))
    assert SegmentRun.objects.count() == runs
    assert set(Membership.objects.values_list("pk", "entered_at")) == rows
    assert Segment.objects.get(key="a").evaluated_at == BASE + timedelta(hours=1)
