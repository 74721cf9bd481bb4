"""Few candidates are looked at alone, many by a pass over everyone; the run says which, why and by what numbers, and
the members are the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.translation import override

from segments.models import Membership, Profile, Segment, SegmentRun
from segments.refresh import candidates, refresh_due, run, words
from tests.people import NOW, make_fact, make_profile
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)
VIEWED = {"op": "event_count", "params": {"event": "Viewed", "count": 1, "days": 3}}
DAILY = {"op": "trait", "params": {"trait": "registered_at", "op": "last_days", "days": 400}}


def crowd(count: int) -> list[Profile]:
    return [make_profile(email=f"p{number}@example.com") for number in range(count)]


def look(now: Any = NOW) -> None:
    settle_log()
    assert not [report for report in refresh_due(now) if report.error]


def choices() -> list[tuple[str, str, int | None, int | None]]:
    return list(SegmentRun.objects.order_by("id").values_list("mode", "why", "estimated", "threshold"))


def members(key: str) -> set[int]:
    return set(Membership.objects.filter(segment__key=key).values_list("profile_id", flat=True))


def test_about_a_twentieth_of_the_people_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand people are the least threshold; with few people the share alone is tried. How many people there are is
    read from the highest id, which other tests have moved: so the share is that of three people."""
    assert candidates.SHARE == 0.05
    monkeypatch.setattr(candidates, "FEW", 1)
    people, threshold = crowd(60), 3
    monkeypatch.setattr(candidates, "SHARE", (threshold + 0.5) / people[-1].pk)
    Segment.objects.create(key="a", name="a", rule=VIEWED)
    look()
    for person in people[:threshold]:
        make_fact(person, "Viewed", at=NOW)
    look()
    some = people[threshold : 2 * threshold + 2]
    for person in some:
        make_fact(person, "Viewed", at=NOW)
    look()
    assert choices() == [
        ("build", "rule", None, None), ("changed", "few", threshold, threshold),
        ("full", "many", threshold + 1, threshold),
    ]  # fmt: skip
    assert members("a") == {person.pk for person in people[: 2 * threshold + 2]}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_both_passes_give_the_same_members_and_facts(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "FEW", 1)
    monkeypatch.setattr(candidates, "SHARE", share)
    people = crowd(12)
    Segment.objects.create(key="a", name="a", rule={"not": VIEWED})
    look()
    for person in people[:5]:
        make_fact(person, "Viewed", at=NOW)
    look()
    assert members("a") == {person.pk for person in people[5:]}
    last = SegmentRun.objects.latest("id")
    assert (last.mode, last.why) == (("changed", "few") if share else ("full", "many"))
    assert (last.entered, last.left, last.size) == (0, 5, 7)
    told = person_facts("@segment_left")
    assert told == sorted(person.pk for person in people[:5])


def person_facts(name: str) -> list[int]:
    from segments.models import Event

    return sorted(Event.objects.filter(name=name).values_list("profile_id", flat=True))


def test_too_many_facts_or_moves_or_a_new_day_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "BACKLOG", 4)
    people = crowd(8)
    Segment.objects.create(key="a", name="a", rule=VIEWED)
    Segment.objects.create(key="b", name="b", rule=DAILY)
    look()
    for person in people[:5]:
        make_fact(person, "Viewed", at=NOW)
    look()
    monkeypatch.setattr(candidates, "BACKLOG", 100)
    monkeypatch.setattr(run, "AT_ONCE", 2)
    for person in people[5:]:
        make_fact(person, "Viewed", at=NOW)
    look()
    look(NOW + timedelta(hours=12))
    told = set(SegmentRun.objects.filter(mode="full").values_list("segment__key", "why", "estimated", "threshold"))
    assert told == {
        ("a", "backlog", 5, 4), ("b", "backlog", 5, 4), ("a", "moves", 3, 2), ("b", "day", None, None),
    }  # fmt: skip


def test_the_choice_is_told_in_both_languages() -> None:
    many = SegmentRun(why="many", estimated=1001, threshold=1000)
    assert words.why_in_words(many, "en") == (
        "1,001 people or more may have changed: above 1,000 a pass over everyone is cheaper"
    )
    assert words.why_in_words(many, "zh-hans") == "至少 1,001 人可能有变化：超过 1,000 人时，全量计算更省"
    assert words.why_in_words(SegmentRun()) == ""
    with override("zh-hans"):
        for why in SegmentRun.Why:
            assert words.why_in_words(SegmentRun(why=why, estimated=1, threshold=2)) != words.why_in_words(
                SegmentRun(why=why, estimated=1, threshold=2), "en"
            )
