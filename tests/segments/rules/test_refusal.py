"""Who refuses profiling is in a segment only by what they told us or hold; the one compiler says so for a set, for one
person and in its reasons."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.wishes import set_no_profiling
from segments.models import Profile, Segment
from segments.refresh import refresh_due
from segments.rules.compile import matching, people
from segments.rules.explain import explain
from segments.rules.operators import At, operators
from segments.rules.parse import parse_rule
from tests.people import make_fact, make_profile
from tests.segments.refresh.settled import settle_log
from tests.segments.rules.world import ZONE

VIP = {"op": "trait", "params": {"trait": "plan", "op": "equals", "value": "vip"}}
BOUGHT = {"op": "event_count", "params": {"event": "Bought", "count": 1, "days": 60}}
STAGE = {"op": "stage", "params": {"stages": ["prospect"]}}


def who(rule: Any, now: Any, ids: list[int]) -> list[bool]:
    """The answer for each, and that set, one person and reasons agree."""
    parsed, at = parse_rule(rule), At(now, ZONE)
    found = set(people(parsed, at).filter(pk__in=ids).values_list("pk", flat=True))
    assert matching(parsed, ids, at) == found
    for pk in ids:
        reason = explain(parsed, pk, at, "en")
        assert reason is not None
        assert reason.holds == (pk in found) == (pk in matching(parsed, [pk], at))
    return [pk in found for pk in ids]


@pytest.fixture
def pair(db: None, now: Any) -> list[int]:
    """Two VIPs who bought; the second refuses profiling."""
    both = [make_profile(now=now, traits={"plan": "vip"}) for _ in range(2)]
    for one in both:
        make_fact(one, "Bought", at=now - timedelta(days=1))
    Profile.objects.filter(pk=both[1].pk).update(no_profiling=True)
    return [one.pk for one in both]


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        (VIP, [True, True]),
        ({"not": VIP}, [False, False]),
        (BOUGHT, [True, False]),
        ({"not": BOUGHT}, [False, False]),
        ({"not": {"not": BOUGHT}}, [True, False]),
        ({"all": [VIP, BOUGHT]}, [True, False]),
        ({"any": [VIP, BOUGHT]}, [True, True]),
        ({"any": [{"not": VIP}, BOUGHT]}, [True, False]),
        ({"not": {"all": [{"not": VIP}, BOUGHT]}}, [True, True]),
        ({"not": {"any": [{"not": VIP}, {"not": BOUGHT}]}}, [True, False]),
        ({"all": [VIP, {"any": [VIP, BOUGHT]}, {"not": {"all": [BOUGHT, {"not": VIP}]}}]}, [True, True]),
        ({"all": []}, [True, True]),
    ],
)
def test_a_rule_holds_for_who_refuses_only_by_what_does_not_profile(
    pair: list[int], now: Any, rule: Any, answers: list[bool]
) -> None:
    assert who(rule, now, pair) == answers


def test_a_segment_passes_on_what_its_rule_profiles(pair: list[int], now: Any) -> None:
    """Not to be among the buyers says of who refuses no more than not to have bought."""
    Segment.objects.create(key="buyers", name="Buyers", rule=BOUGHT)
    Segment.objects.create(
        key="outer", name="Outer", rule={"all": [{"op": "in_segment", "params": {"segment": "buyers"}}]}
    )
    Segment.objects.create(key="vips", name="VIPs", rule=VIP)
    Segment.objects.create(key="broken", name="Broken", rule={"op": "gone"})
    answers = {
        key: who({"not": {"op": "in_segment", "params": {"segment": key}}}, now, pair)
        for key in ("buyers", "outer", "vips", "broken")
    }
    assert answers == {"buyers": [True, False], "outer": [True, False], "vips": [True, True], "broken": [True, False]}


@pytest.mark.parametrize(
    ("language", "words"), [("en", "this person refuses profiling"), ("zh-hans", "此人拒绝个性化分析")]
)
def test_why_says_what_was_not_asked(pair: list[int], now: Any, language: str, words: str) -> None:
    rule, at = parse_rule({"any": [{"not": BOUGHT}, VIP]}), At(now, ZONE)
    told = [explain(rule, pk, at, language) for pk in pair]
    assert [[(one.kind, one.holds, one.refused, words in one.sentence) for one in reason.walk()] for reason in told if reason] == [
        [("any", True, False, False), ("not", False, False, False), ("event_count", True, False, False),
         ("trait", True, False, False)],
        [("any", True, False, False), ("not", False, True, False), ("event_count", False, True, True),
         ("trait", True, False, False)],
    ]  # fmt: skip


def test_it_costs_one_flag_and_only_where_a_rule_profiles(pair: list[int], now: Any) -> None:
    counted = {}
    for name, rule in (("told", VIP), ("asked", {"all": [VIP, BOUGHT]}), ("nobody", STAGE)):
        with CaptureQueriesContext(connection) as queries:
            list(people(parse_rule(rule), At(now, ZONE)))
        counted[name] = [len(queries), queries[-1]["sql"].split(" WHERE ", 1)[1].count("no_profiling")]
    assert counted == {"told": [1, 0], "asked": [1, 1], "nobody": [1, 1]}


def test_which_questions_profile() -> None:
    """A new operator profiles unless it says otherwise; those that do not ask about what was told, or is held."""
    assert {key for key, one in operators.items() if not one.profiling} == {
        "trait", "identity", "consent", "in_list", "in_segment", "segment_history", "random_bucket", "badge", "level",
        "mission", "points", "wallet", "in_journey", "held_out",
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_a_refresh_follows_the_choice_both_ways(now: Any) -> None:
    person = make_profile(now=now)
    make_fact(person, "Bought", at=now - timedelta(days=1))
    segment = Segment.objects.create(key="buyers", name="Buyers", rule=BOUGHT)
    sizes = []
    for hour, refuses in enumerate((None, True, False)):
        at = now + timedelta(hours=hour)
        if refuses is not None:
            set_no_profiling(person.pk, refuses, now=at)
        settle_log()
        refresh_due(at)
        segment.refresh_from_db()
        sizes.append((segment.size, segment.runs.latest("pk").mode))
    assert sizes == [(1, "build"), (0, "changed"), (1, "changed")]
