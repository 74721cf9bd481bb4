"""Scoring many people at first sight in one statement writes what scoring them one by one writes."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from segments.models import Event, Order, Profile, Scores, StageChange
from segments.rfm import Choices, Edges, compute_edges
from segments.score_first import score_first
from segments.score_moves import FIELDS
from segments.scores import score_people
from tests.people import NOW, make_order, make_profile

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
MIDNIGHTS = ["Asia/Shanghai", "UTC", "America/Havana", "Asia/Beirut"]  # in the last two midnight is skipped, or twice
WRITTEN = (
    (Scores, ["profile_id", *FIELDS, "edges_id", "computed_at"]),
    (StageChange, ["profile_id", "at", "before", "after", "reason"]),
    (Event, ["key", "profile_id", "shard", "kind", "name", "occurred_at", "received_at", "properties", "context", "live",
             "depth", "value", "flags", "source__key"]),
)  # fmt: skip


def buyers(rng: random.Random, count: int) -> list[int]:
    """People with up to twelve orders: some dated ahead, cancelled, refunded to nothing, or told as history."""
    people = []
    for number in range(count):
        person = make_profile(email=f"p{number}@example.com", now=NOW - 900 * timedelta(days=1))
        for _ in range(rng.randint(0, 12)):
            hours = rng.choice([rng.uniform(0, 72), rng.uniform(0, 3000), rng.uniform(0, 20_000), rng.uniform(-90, 0)])
            total = rng.choice([0, 1, 990, rng.randint(100, 90_000)])
            make_order(person, at=NOW - timedelta(hours=hours), total=total, live=rng.random() < 0.5)
        people.append(person.pk)
    Order.objects.filter(pk__in=rng.sample(list(Order.objects.values_list("pk", flat=True)), count // 2)).update(
        state="cancelled"
    )
    Profile.objects.filter(pk=people[0]).update(no_profiling=True)
    Profile.objects.filter(pk=people[1]).update(erased_at=NOW)
    Profile.objects.filter(pk=people[2]).update(merged_into=people[3])
    return people


def written(work: Any) -> list[list[tuple[Any, ...]]]:
    """What the work writes, and how many rows it says; nothing of it stays."""
    known = Event.objects.order_by("-pk").values_list("pk", flat=True)[0]
    with transaction.atomic():
        told = work()
        found = []
        for model, fields in WRITTEN:
            rows = model._default_manager.order_by("profile_id")
            rows = rows.filter(pk__gt=known) if model is Event else rows
            found.append(sorted((repr(row) for row in rows.values_list(*fields)), key=str))
        assert told == len(found[0])
        transaction.set_rollback(True)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("name", MIDNIGHTS)
@pytest.mark.parametrize("money", ["sum", "mean"])
def test_one_statement_writes_what_one_by_one_writes(
    name: str, money: str, rng: random.Random, prove: bool, settings: Any
) -> None:
    settings.WORKSPACE_ZONE = name
    here, people = ZoneInfo(name), buyers(rng, 300 if prove else 40)
    frozen = compute_edges(NOW, zone=here, choices=Choices(money=money, window_days=rng.choice([30, 365]),
                                                           counted=rng.choice(["orders", "days"])))  # fmt: skip
    for edges in (frozen, Edges(pk=frozen.pk)):
        for days in (0, rng.randint(1, 200)):
            now = NOW + timedelta(days=days, hours=rng.randint(0, 23))
            at_once = written(lambda: score_first(people, now=now, zone=here, edges=edges))  # noqa: B023
            one_by_one = written(lambda: score_people(people, now=now, edges=edges))  # noqa: B023
            assert at_once == one_by_one
            assert len(at_once[0]) == len(people) - 2


def test_who_has_a_row_is_left_alone(rng: random.Random) -> None:
    people = buyers(rng, 12)
    edges = compute_edges(NOW, zone=ZoneInfo("UTC"))
    with transaction.atomic():
        score_people(people[:6], now=NOW, edges=edges)
        before, facts = list(Scores.objects.values()), Event.objects.count()
        assert score_first(people[:6], now=NOW + timedelta(days=90), zone=ZoneInfo("UTC"), edges=edges) == 0
        assert (list(Scores.objects.values()), Event.objects.count()) == (before, facts)
        assert score_first(people, now=NOW, zone=ZoneInfo("UTC"), edges=edges) == 6
    assert Scores.objects.count() == 10
