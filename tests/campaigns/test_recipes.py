"""The four recipes: whole, in both languages, valid, and safe to install twice."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from campaigns.asks import answered, asks_of
from campaigns.graph import read_graph
from campaigns.install import UnknownRecipe, install_recipe, read_recipe, recipe_keys, try_out
from campaigns.models import Campaign, Goal, Journey
from messaging.models import Template, TemplateVersion
from messaging.starters import starter_keys
from segments.models import CouponPool, Mission, Segment
from segments.rules.parse import parse_rule

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FOUR = ["churn-winback", "growth-tasks", "new-user-gift", "vip-perks"]
ALL = recipe_keys()


def test_the_four_journeys_are_there() -> None:
    assert set(FOUR) <= set(recipe_keys())
    assert len(recipe_keys()) >= 12


@pytest.mark.parametrize("key", ALL)
def test_a_recipe_is_whole_and_bilingual(key: str) -> None:
    recipe = read_recipe(key)
    named = [recipe, recipe["campaign"], recipe["journey"], *recipe["segments"]]
    named += [
        row for kind in ("topics", "benefits", "pools", "levels", "badges", "missions") for row in recipe.get(kind, ())
    ]
    assert all(row["name"] and row["name_zh"] and row["name"] != row["name_zh"] for row in named)
    assert recipe["campaign"]["utm_campaign"]
    assert 0 < recipe["campaign"]["holdout"] < 1
    assert recipe["goal"]["fact"]
    assert all(ask.title != ask.title_zh and ask.default for ask in asks_of(recipe))
    sends = {
        node["params"]["template"] for node in recipe["journey"]["graph"]["nodes"].values() if node["type"] == "send"
    }
    assert sends == set(recipe["templates"]) <= set(starter_keys())


@pytest.mark.parametrize("key", ALL)
@pytest.mark.django_db
def test_a_recipes_flow_and_rules_are_valid(key: str) -> None:
    recipe = answered(read_recipe(key), {})
    graph = read_graph(recipe["journey"]["graph"])
    assert read_graph(graph.dump()).dump() == graph.dump()
    for segment in recipe["segments"]:
        parse_rule(segment["rule"])


@pytest.mark.parametrize("key", ALL)
@pytest.mark.django_db(transaction=True)
def test_a_recipe_passes_every_lint(key: str) -> None:
    """No error, and no warning either: the defaults of an installation bear it."""
    assert [str(one) for one in try_out(read_recipe(key), now=NOW)[1]] == []


@pytest.mark.parametrize("key", ALL)
def test_a_recipe_has_its_page_in_both_languages(key: str) -> None:
    for folder in ("docs/recipes", "docs/zh/recipes"):
        page = (ROOT / folder / f"{key}.md").read_text()
        recipe = read_recipe(key)
        told = set(recipe["journey"]["graph"]["nodes"]) | {ask.key for ask in asks_of(recipe)}
        assert {name for name in told if f"`{name}`" not in page} == set(), folder


@pytest.mark.parametrize("key", ALL)
@pytest.mark.django_db(transaction=True)
def test_installing_twice_changes_nothing(key: str) -> None:
    first = install_recipe(key, now=NOW)
    assert first.journey is not None
    assert first.journey.state == Journey.State.LIVE
    assert first.found == []
    counts = [
        m.objects.count() for m in (Campaign, Goal, Journey, Template, TemplateVersion, Segment, CouponPool, Mission)
    ]
    again = install_recipe(key, now=NOW)
    assert again.made == []
    assert counts == [
        m.objects.count() for m in (Campaign, Goal, Journey, Template, TemplateVersion, Segment, CouponPool, Mission)
    ]


@pytest.mark.django_db(transaction=True)
def test_what_its_owner_changed_is_left_alone() -> None:
    install_recipe("vip-perks", now=NOW)
    Segment.objects.filter(key="vip").update(name="Our best")
    install_recipe("vip-perks", now=NOW)
    assert Segment.objects.get(key="vip").name == "Our best"


@pytest.mark.django_db(transaction=True)
def test_the_command_lists_and_installs() -> None:
    out = StringIO()
    call_command("recipe", stdout=out)
    assert all(key in out.getvalue() for key in FOUR)
    call_command("recipe", "new-user-gift", "--draft", stdout=out)
    assert Journey.objects.get(key="new-user-gift").state == Journey.State.DRAFT
    with pytest.raises(UnknownRecipe):
        read_recipe("../settings")
