"""Traits are compared letter by letter on every database, and dates by the calendar of the workspace."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.params import Invalid
from segments.rules.compile import matching
from segments.rules.explain import sentence
from segments.rules.operators import At
from segments.rules.parse import parse_rule
from tests.people import NOW, make_profile

UTC_ZONE = ZoneInfo("UTC")


def trait(name: str, op: str, **params: Any) -> Any:
    return parse_rule({"op": "trait", "params": {"trait": name, "op": op, **params}})


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["city", "home"])
def test_letters_count_as_they_are_written_in_columns_and_in_json(name: str) -> None:
    value = "São_Paulo 100%"
    mei = make_profile(city=value, traits={"home": value})

    def found(op: str, **params: Any) -> bool:
        return bool(matching(trait(name, op, **params), [mei.pk], At(NOW, UTC_ZONE)))

    right = [
        ("equals", value), ("contains", "ão_P"), ("contains", "0%"), ("starts", "São"), ("ends", "100%"),
        ("ends", value), ("not_contains", "paulo"), ("not_equals", value.lower()),
    ]  # fmt: skip
    wrong = [
        ("equals", value.upper()), ("contains", "paulo"), ("contains", "S%o"), ("contains", "São.Paulo"),
        ("starts", "são"), ("starts", "S_o"), ("ends", "100"), ("ends", "_"), ("ends", "x" + value),
        ("not_contains", "Paulo"),
    ]  # fmt: skip
    assert [pair for pair in right if not found(pair[0], value=pair[1])] == []
    assert [pair for pair in wrong if found(pair[0], value=pair[1])] == []
    assert found("none_of", values=["Bern", value.lower()])
    assert not found("any_of", values=["Bern", value.lower()])


@pytest.mark.django_db
def test_addresses_are_compared_in_small_letters_as_they_are_stored() -> None:
    mei = make_profile(email="Mei@Example.com")
    for op, value in (
        ("equals", "MEI@example.com"),
        ("contains", "@Example"),
        ("starts", "Mei"),
        ("ends", "EXAMPLE.COM"),
    ):
        assert matching(trait("email", op, value=value), [mei.pk], At(NOW, UTC_ZONE)) == {mei.pk}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("today", "days", "expected"),
    [
        ((2027, 2, 28), 0, {"leapling", "february"}),  # the 29th is kept on the 28th of other years
        ((2027, 3, 1), 0, {"march"}),
        ((2028, 2, 28), 0, {"february"}),
        ((2028, 2, 29), 0, {"leapling"}),
        ((2027, 3, 1), 1, {"leapling", "february", "march"}),
        ((2026, 12, 31), 1, {"new year"}),
        ((2027, 1, 1), 1, {"new year"}),
        ((2027, 1, 2), 1, {"new year"}),
        ((2027, 1, 3), 1, set()),
    ],
)
def test_an_anniversary_around_today(today: tuple[int, int, int], days: int, expected: set[str]) -> None:
    born = {
        "leapling": date(2000, 2, 29),
        "february": date(1999, 2, 28),
        "march": date(1999, 3, 1),
        "new year": date(1999, 1, 1),
    }
    everyone = {make_profile(birthday=day, traits={"since": day.isoformat()}).pk: name for name, day in born.items()}
    at = At(datetime(*today, 12, tzinfo=UTC), UTC_ZONE)
    for name in ("birthday", "since"):
        found = matching(trait(name, "anniversary_around", days=days), everyone, at)
        assert {everyone[pk] for pk in found} == expected, name


@pytest.mark.parametrize(
    ("name", "op", "params", "problem"),
    [
        ("plan", "none_of", {}, "'none_of' needs values"),
        ("plan", "ends", {"value": 3}, "'ends' needs a text"),
        ("due", "between_days", {"first": "2026-03-02", "last": "2026-03-01"}, "in this order"),
        ("due", "between_days", {"first": "2026-02-30", "last": "2026-03-01"}, "in this order"),
        ("city", "between_days", {"first": "2026-03-01", "last": "2026-03-01"}, "is not for texts"),
        ("registered_at", "contains_any", {"values": ["x"]}, "is not for dates"),
        ("birthday", "anniversary_around", {"days": 61}, "at most 60 days ahead"),
    ],
)
def test_what_cannot_be_asked_of_a_trait_is_refused(name: str, op: str, params: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        trait(name, op, **params)


def test_new_comparisons_are_said_in_both_languages() -> None:
    rule = trait("tags", "contains_all", values=["a", 1])
    assert (sentence(rule, "en"), sentence(rule, "zh-hans")) == ("tags contains each of a / 1", "tags 包含 a / 1 全部")
    rule = trait("due", "between_days", first="2026-03-01", last="2026-03-31")
    assert sentence(rule, "en") == "due is from 2026-03-01 to 2026-03-31"
    rule = trait("birthday", "anniversary_around", days=3)
    assert sentence(rule, "zh-hans") == "birthday 的周年日在前后 3 天内"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["city", "home", "tags"])
def test_one_or_each_of_many_values_is_one_condition(name: str) -> None:
    """As many questions and values as a rule may hold: a chain of ORs would be too deep for SQLite."""
    mei = make_profile(city="v1 v499", traits={"home": "v1 v499", "tags": ["v1", "v499", 7, True]})
    many = [f"w{n}" for n in range(498)]

    def found(op: str, values: list[Any]) -> bool:
        return bool(matching(trait(name, op, values=values), [mei.pk], At(NOW, UTC_ZONE)))

    assert [found("contains_any", [*many, word]) for word in ("v1", "v499", "v2")] == [True, True, False]
    assert [found("contains_all", values) for values in (["v1", "v499"], ["v1", "v2"])] == [True, False]
    if name == "tags":
        assert [found("contains_any", [value, "x"]) for value in (7, True, 1, "7", 8, False)] == [
            True,
            True,
            *[False] * 4,
        ]
        assert [found("contains_all", ["v1", value]) for value in (7, True, 1, "True")] == [True, True, False, False]
    leaf = {"op": "trait", "params": {"trait": name, "op": "contains_any", "values": [*many, "v499"]}}
    assert matching(parse_rule({"all": [leaf] * 200}), [mei.pk], At(NOW, UTC_ZONE)) == {mei.pk}
