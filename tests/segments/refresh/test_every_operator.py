"""Every operator that is registered, asked plainly and negated: looking only at those who may have changed gives the
same members as looking at everyone, over random histories and clocks, in zones and on days on which clocks change."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from campaigns.enrol import enrol
from campaigns.models import Assignment, Enrolment, Journey
from campaigns.triggers import Entry
from common.periods import start_of_day
from messaging.models import Address
from segments.facts import names
from segments.facts.append import append_engine_facts
from segments.growth.badges import award
from segments.growth.ledger import earn
from segments.models import Profile, Segment
from segments.refresh import refresh_due
from segments.rules.compile import people
from segments.rules.operators import At, operators
from segments.rules.parse import parse_rule
from tests.campaigns.flows import DONE, flow, live
from tests.campaigns.test_journey_operators import draw
from tests.messages import make_version
from tests.messaging.test_engagement import NAMES, Reader, random_message
from tests.messaging.test_engagement import random_leaf as asked_of_messages
from tests.messaging.test_engagement import store as store_message
from tests.segments.refresh.settled import settle_log
from tests.segments.refresh.test_incremental import (
    achieved,
    happen,
    later,
    listed,
    moved_group,
    moved_health,
    moved_stage,
    paid,
    told,
)
from tests.segments.rules.world import BASE, LEAVES, random_person, store

pytestmark = pytest.mark.django_db(transaction=True)

# Zones, each with a day on which its clocks change, or where none ever does.
ZONES = [
    ("America/New_York", date(2026, 3, 8)), ("Asia/Shanghai", date(2026, 3, 3)), ("Africa/Cairo", date(2026, 4, 24)),
    ("Australia/Lord_Howe", date(2026, 4, 5)), ("America/Santiago", date(2026, 4, 4)),
]  # fmt: skip
Leaf = Callable[[random.Random], dict[str, Any]]


def of_messages(op: str) -> Leaf:
    def leaf(rng: random.Random) -> dict[str, Any]:
        while True:
            raw = asked_of_messages(rng)
            if raw["op"] == op:
                return dict(raw["params"])

    return leaf


# What the operators of the upper apps are asked, and what happens to the people whom they are asked about.
UPPER: dict[str, Leaf] = {
    "consent": lambda rng: {"topic": "offers", "state": rng.choice(["given", "refused", "unknown"])},
    "message": of_messages("message"),
    "messages_ignored": of_messages("messages_ignored"),
    "in_journey": lambda rng: {"journey": "walk", "how": rng.choice(["ever", "under_way", "completed", "converted"])},
    "journey_history": lambda rng: {"journey": "walk", "days": rng.choice([1, 3, 6]), "how": rng.choice(
        ["entered", "completed", "exited", "converted", "refused"])},
    "held_out": lambda rng: rng.choice([{"of": "journey"}, {"of": "everything"}]),
}  # fmt: skip
ASKED: dict[str, Leaf] = {**LEAVES, **UPPER}
ONCE_A_DAY = {"message", "messages_ignored", "in_journey", "journey_history", "held_out"}  # what they read is no fact


def test_no_operator_is_left_out() -> None:
    assert set(ASKED) == set(operators.keys())


@pytest.mark.parametrize("op", operators.keys())
def test_incremental_equals_full(op: str, rng: random.Random, prove: bool, settings: Any) -> None:
    name, change = rng.choice(ZONES)
    settings.WORKSPACE_ZONE, zone = name, ZoneInfo(name)
    store([random_person(rng) for _ in range(20)])
    upper = prepare() if op in UPPER else None
    ask(op, rng)
    now = BASE
    for step in range(40 if prove else 5):
        for _ in range(rng.randint(1, 3)):
            happen(rng, now)
            if upper:
                upper(rng, now)
        befall(op, rng, now)
        now = around(rng, change, zone) if step == 2 else later(rng, now)
        if op in ONCE_A_DAY:
            now = max(now, latest()) + timedelta(days=1, hours=2)
        settle_log()
        reports = refresh_due(now)
        assert not [report for report in reports if report.error]
        compare(now, zone, step, name)


def achieved_more(rng: random.Random, row: Profile, now: datetime) -> None:
    earn(row.pk, rng.choice([3, 120, 250]), key=uuid.uuid4().hex, reason="test", now=now)


def decorated(rng: random.Random, row: Profile, now: datetime) -> None:
    award(row.pk, "hero", key=uuid.uuid4().hex, reason="test", now=now)


# What flips the answers of operators that little else in a short run would.
BEFALLS = {
    "badge": decorated, "level": achieved_more, "wallet": achieved_more, "points": paid, "in_list": listed,
    "stage": moved_stage, "stage_time": moved_stage, "rfm_cell": moved_stage, "rfm_score": moved_stage,
    "health": moved_health, "health_trend": moved_health, "mission": achieved, "in_segment": moved_group,
    "segment_history": moved_group, "identity": told, "trait": told,
}  # fmt: skip


def befall(op: str, rng: random.Random, now: datetime) -> None:
    """What the operator asks about happens to three people: without news of it their answers would be stale."""
    if op in BEFALLS:
        for row in rng.sample(list(Profile.objects.filter(merged_into=None, erased_at=None)), 3):
            BEFALLS[op](rng, row, now)


def ask(op: str, rng: random.Random) -> None:
    """Ten questions of the operator, a third of them negated."""
    for number in range(10):
        leaf = {"op": op, "params": ASKED[op](rng)}
        Segment.objects.create(key=f"s{number}", name=op, rule={"not": leaf} if number % 3 == 0 else leaf)


def around(rng: random.Random, change: date, zone: ZoneInfo) -> datetime:
    """A moment at a midnight of the day on which clocks change or of the days beside, to the second."""
    midnight = start_of_day(change + timedelta(days=rng.randint(-1, 1)), zone)
    return midnight + timedelta(seconds=rng.choice([-1, 0, 1, 3600, 7200, 10_800]))


def latest() -> datetime:
    """The `now` of the last refresh."""
    last = Segment.objects.filter(state="active").values_list("evaluated_at", flat=True).first()
    return last or BASE


def compare(now: datetime, zone: ZoneInfo, step: int, name: str) -> None:
    for segment in Segment.objects.filter(state="active"):
        expected = set(people(parse_rule(segment.rule), At(now, zone)).values_list("pk", flat=True))
        members = set(segment.memberships.values_list("profile_id", flat=True))
        assert members == expected, (step, name, now, json.dumps(segment.rule))
        assert segment.size == len(expected)


def prepare() -> Callable[[random.Random, datetime], None]:
    """A journey, two experiments and templates; returns what happens to somebody at random."""
    walk = live(flow({"done": DONE}), key="walk")
    versions = {key: make_version(key, now=BASE) for key in NAMES["template"]}
    numbers = iter(range(10_000))

    def upper(rng: random.Random, now: datetime) -> None:
        row = rng.choice(list(Profile.objects.filter(merged_into=None, erased_at=None)))
        store_message(Reader(row.pk), random_message(rng), versions)
        answered(rng, row, now)
        enrol(walk, [Entry(row.pk, str(next(numbers)))], now=now)
        ended(rng, now)
        drawn(rng, walk, row)

    return upper


def answered(rng: random.Random, row: Profile, now: datetime) -> None:
    """Agreeing, refusing or neither, as the book of consents leaves it, with its fact."""
    said = rng.choice([(["offers"], []), ([], ["offers"]), ([], ["*"]), ([], [])])
    with transaction.atomic():
        Address.objects.update_or_create(
            channel="email", value=f"{row.pk}@example.com",
            defaults={"profile": row, "consents": said[0], "refusals": said[1], "created_at": now},
        )  # fmt: skip
        append_engine_facts([(row.pk, row.shard, names.CONSENT_CHANGED, uuid.uuid4().hex, {})], now=now)


def ended(rng: random.Random, now: datetime) -> None:
    """Some walk ends, or reaches its goal."""
    walks = list(Enrolment.objects.filter(ended_at=None).values_list("pk", flat=True))
    for pk in rng.sample(walks, len(walks) // 2):
        how = rng.choice([{"state": "completed", "ended_at": now}, {"state": "exited", "ended_at": now},
                          {"converted_at": now}])  # fmt: skip
        Enrolment.objects.filter(pk=pk).update(**how)


def drawn(rng: random.Random, walk: Journey, row: Profile) -> None:
    """Somebody is drawn into the holdout of the journey, or of everything."""
    kind, key = rng.choice([("holdout", "of the walk"), ("universal", "of all")])
    if not Assignment.objects.filter(profile=row, experiment__key=key).exists():
        experiment = draw(row.pk, kind, key, control=rng.random() < 0.6)
        if kind == "holdout":
            Journey.objects.filter(pk=walk.pk).update(experiment=experiment)
