"""The four recipes: whole, in both languages, valid, and safe to install twice."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command

from campaigns.graph import read_graph
from campaigns.install import UnknownRecipe, install_recipe, read_recipe, recipe_keys
from campaigns.models import Campaign, Goal, Journey
from messaging.models import Template, TemplateVersion
from messaging.starters import starter_keys
from segments.models import CouponPool, Mission, Segment
from segments.rules.parse import parse_rule

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FOUR = ["churn-winback", "growth-tasks", "new-user-gift", "vip-perks"]


def test_the_four_journeys_are_there() -> None:
    assert recipe_keys() == FOUR


@pytest.mark.parametrize("key", FOUR)
def test_a_recipe_is_whole_and_bilingual(key: str) -> None:
    recipe = read_recipe(key)
    named = [recipe, recipe["campaign"], recipe["journey"], *recipe["segments"]]
    named += [
        row for kind in ("topics", "benefits", "pools", "levels", "badges", "missions") for row in recipe.get(kind, ())
    ]
    assert all(row["name"] and row["name_zh"] and row["name"] != row["name_zh"] for row in named)
    assert recipe["campaign"]["utm_campaign"]
    assert 0 < recipe["campaign"]["holdout"] < 1
    assert recipe["goal"]["fact"] == "Order Completed"
    sends = {
        node["params"]["template"] for node in recipe["journey"]["graph"]["nodes"].values() if node["type"] == "send"
    }
    assert sends == set(recipe["templates"]) <= set(starter_keys())


@pytest.mark.parametrize("key", FOUR)
@pytest.mark.django_db
def test_a_recipes_flow_and_rules_are_valid(key: str) -> None:
    recipe = read_recipe(key)
    graph = read_graph(recipe["journey"]["graph"])
    assert read_graph(graph.dump()).dump() == graph.dump()
    for segment in recipe["segments"]:
        parse_rule(segment["rule"])


@pytest.mark.parametrize("key", FOUR)
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
