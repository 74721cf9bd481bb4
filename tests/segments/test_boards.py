"""Counts of the boards against what stands in the rows; overlap, patience and the first look at a rule."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from segments import boards, live
from segments.boards import Tally
from segments.facts.append import append_facts, engine_source
from segments.facts.fact import NewFact
from segments.live import because, first_look, long_look
from segments.models import Health, Membership, Profile, Scores, Segment
from segments.overlaps import came_and_went, overlaps
from segments.patience import TooSlow, patient
from segments.reads import at
from segments.rfm import CELL_OF
from segments.rules.explain import explain
from segments.rules.parse import parse_rule
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
SLOW = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000000000) SELECT COUNT(*) FROM n"


def make_scored(r: int, f: int, m: int, spent: int, **fields: Any) -> Profile:
    person = make_profile()
    cell = CELL_OF[f"{r}{f}"] if "cell" not in fields else fields.pop("cell")
    Scores.objects.create(profile=person, r=r, f=f, m=m, spent=spent, cell=cell, computed_at=NOW, **fields)
    return person


def tell(person: Profile, name: str, at_: Any = NOW, **said: Any) -> None:
    fact = NewFact(
        person.pk,
        person.shard,
        name,
        at_,
        f"{name}{person.pk}{said}{at_}",
        engine_source(),
        kind="system",
        properties=said,
    )
    append_facts([fact], now=NOW)


# Boards


def test_the_grid_and_the_quadrants_count_the_rows() -> None:
    make_scored(5, 5, 5, 900, octant="key_value")
    make_scored(5, 4, 1, 100, octant="key_value")
    make_scored(1, 1, 1, 50, octant="common_win_back")
    Scores.objects.create(profile=make_profile(), computed_at=NOW)
    grid = boards.by_grid()
    assert len(grid) == 25
    assert (grid[5, 5], grid[5, 4], grid[1, 1]) == (Tally(1, 900), Tally(1, 100), Tally(1, 50))
    assert sum(one.people for one in grid.values()) == 3
    assert boards.by_octant()["key_value"] == Tally(2, 1000)


def test_filters_are_read_strictly_and_become_rules() -> None:
    given = {"cell": "champions", "r": "5", "f": "9", "m": "", "stage": "happy", "spent__gt": "1"}
    assert boards.read_filters(given) == {"cell": "champions", "r": 5}
    assert boards.rule_of({"cell": "new"}) == {"op": "rfm_cell", "params": {"cells": ["new"]}}
    both = boards.rule_of({"r": 5, "f": 4, "stage": "mature"})
    assert both["all"][0] == {"op": "rfm_score", "params": {"r_min": 5, "r_max": 5, "f_min": 4, "f_max": 4}}


@pytest.mark.parametrize(
    "where",
    [
        {"cell": "champions"},
        {"r": 5, "f": 4},
        {"octant": "key_value"},
        {"stage": "mature"},
        {"band": "watch"},
        {"m": 1},
    ],
)
def test_a_rule_of_a_filter_holds_for_the_same_people(where: dict[str, Any]) -> None:
    from segments.rules.compile import people

    make_scored(5, 4, 1, 100, octant="key_value", stage="mature")
    bo = make_scored(5, 5, 5, 100, octant="key_keep", stage="growing")
    Health.objects.create(profile=bo, band="watch", score=50, computed_at=NOW)
    make_scored(1, 1, 1, 100, octant="common_keep", stage="lapsed")
    mine = {row.pk for row in boards.scored_people(where)}
    assert mine
    assert set(people(parse_rule(boards.rule_of(where)), at(NOW)).values_list("pk", flat=True)) == mine


# One segment beside others


def test_overlap_as_shares_in_two_statements_more_than_none(django_assert_num_queries: Any) -> None:
    one, two, far = (Segment.objects.create(key=key, name=key, rule={"all": []}) for key in ("one", "two", "far"))
    people = [make_profile() for _ in range(5)]
    for segment, some in ((one, people[:4]), (two, people[2:]), (far, people[4:])):
        Membership.objects.bulk_create([Membership(segment=segment, profile=p, entered_at=NOW) for p in some])
        Segment.objects.filter(pk=segment.pk).update(size=len(some))
    with django_assert_num_queries(3):
        (shared,) = overlaps(one)
    assert (shared.key, shared.both, shared.of_this, shared.of_other, shared.of_either) == ("two", 2, 0.5, 2 / 3, 0.4)
    assert overlaps(Segment.objects.create(key="none", name="none", rule={"all": []})) == []


def test_who_came_and_went_lately() -> None:
    one = Segment.objects.create(key="one", name="one", rule={"all": []})
    mei, bo = make_profile(), make_profile()
    tell(mei, "@segment_entered", segment="one")
    tell(bo, "@segment_entered", segment="other")
    tell(bo, "@segment_left", NOW - timedelta(days=31), segment="one")
    tell(bo, "@segment_left", NOW - timedelta(days=2), segment="one")
    entered, left = came_and_went(one, now=NOW)
    assert [fact.profile_id for fact in entered] == [mei.pk]
    assert [fact.profile_id for fact in left] == [bo.pk]


# Patience


def test_a_question_that_takes_too_long_is_stopped_and_the_connection_goes_on() -> None:
    begun = time.monotonic()
    with pytest.raises(TooSlow), patient(0.3), connection.cursor() as cursor:
        cursor.execute(SLOW)
    assert time.monotonic() - begun < 10
    with connection.cursor() as cursor:
        cursor.execute("SELECT 7")
        assert cursor.fetchone() == (7,)
        if connection.vendor == "postgresql":
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)


def test_patience_leaves_other_errors_and_the_next_question_alone() -> None:
    with patient(5), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with pytest.raises(OperationalError, match="mine"), patient(5):
        raise OperationalError("mine")
    assert Profile.objects.count() == 0


# Looking at a rule while it is written


def test_few_people_are_counted_at_once_and_many_estimated_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for bucket in (0, 100, 199, 200, 9999):
        make_profile(country="CN", bucket=bucket)
    rule = parse_rule({"op": "trait", "params": {"trait": "country", "op": "equals", "value": "CN"}})
    look = first_look(rule, now=NOW, language="en")
    assert look.count is not None
    assert (look.count.people, look.count.exact, look.late, len(look.seen)) == (5, True, False, 5)
    monkeypatch.setattr(live, "FEW", 0)
    guess = first_look(rule, now=NOW, language="en")
    assert guess.count is not None
    assert (guess.count.people, guess.count.exact, guess.late, guess.seen) == (150, False, True, ())
    assert guess.count.margin == round((3 * 0.98) ** 0.5 * 1.96 / 0.02)


def test_a_look_that_takes_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: Any, **__: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(SLOW)

    rule = parse_rule({"all": []})
    monkeypatch.setattr(live, "LONG", 0.2)
    monkeypatch.setattr(live, "samples", endless)
    look = long_look(rule, now=NOW, language="en")
    assert look.count is not None
    assert (look.count.people, look.seen) == (0, ())
    monkeypatch.setattr(live, "people", endless)
    assert long_look(rule, now=NOW, language="en").count is None


def test_why_is_told_by_what_holds_and_by_nots() -> None:
    mei = make_profile(country="CN")
    country = {"op": "trait", "params": {"trait": "country", "op": "equals", "value": "CN"}}
    other = {"op": "trait", "params": {"trait": "country", "op": "equals", "value": "US"}}
    rule = parse_rule({"all": [{"any": [country, other]}, {"not": other}, country]})
    reason = explain(rule, mei.pk, at(NOW), "en")
    assert reason is not None
    assert because(reason) == ["country is CN", "not (country is US)"]
