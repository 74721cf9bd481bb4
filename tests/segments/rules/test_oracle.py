"""Random rules over random people at random times: the compiler, for all and for a batch, and explain agree with
the obvious reading."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from segments.rules.compile import matching, people
from segments.rules.explain import explain_many
from segments.rules.operators import At
from segments.rules.parse import parse_rule
from tests.segments.rules.world import BASE, LEAVES, ZONE, holds, near, random_person, random_rule, store


@pytest.mark.django_db
def test_the_compiler_reads_a_rule_as_anyone_would(rng: random.Random, prove: bool) -> None:
    world = [random_person(rng) for _ in range(300 if prove else 60)]
    store(world)
    for number in range(1500 if prove else 100):
        raw = random_rule(rng)
        now = near(rng) if number % 3 else BASE + timedelta(days=rng.randint(-9, 9))
        rule, at = parse_rule(raw), At(now, ZONE)
        expected = {person.pk for person in world if holds(raw, person, now)}
        assert set(people(rule, at).values_list("pk", flat=True)) == expected, (json.dumps(raw), now)
        some = [person.pk for person in rng.sample(world, 25)]
        assert matching(rule, some, at) == expected & set(some), (json.dumps(raw), now)
        told = explain_many(rule, some, at, "en")
        assert {pk for pk, reason in told.items() if reason.holds} == expected & set(some), (json.dumps(raw), now)


@pytest.mark.django_db
@pytest.mark.parametrize("op", sorted(LEAVES))
def test_every_operator_alone_and_under_not(op: str, rng: random.Random, prove: bool) -> None:
    world = [random_person(rng) for _ in range(80)]
    store(world)
    kinds = set()
    for _ in range(400 if prove else 25):
        leaf = {"op": op, "params": LEAVES[op](rng)}
        for raw in (leaf, {"not": leaf}, {"not": {"not": leaf}}):
            now = near(rng)
            expected = {person.pk for person in world if holds(raw, person, now)}
            kinds.add(bool(expected))
            found = set(people(parse_rule(raw), At(now, ZONE)).values_list("pk", flat=True))
            assert found == expected, (json.dumps(raw), now)
    assert True in kinds
