"""Installing a recipe: a campaign with its journey, segment, templates, goal and rewards, from one JSON file.

Safe to repeat: what exists under its key is left as its owner made it, and only what is missing is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models, transaction

from campaigns.models import Campaign, Goal, Journey
from campaigns.publish import publish
from common import audit
from messaging.models import Template, Topic
from messaging.publish import publish_template
from messaging.starters import install_starter
from segments.models import Badge, Benefit, CouponPool, Level, Mission, Segment
from segments.refresh import refresh_segment
from segments.rules.parse import parse_rule

FOLDER = Path(__file__).parent / "recipes"


class UnknownRecipe(LookupError):
    """There is no recipe of that key."""


@dataclass
class Installed:
    """What an installation made and what it found: (kind, key) pairs; `journey` is the recipe's own."""

    made: list[tuple[str, str]] = field(default_factory=list)
    found: list[tuple[str, str]] = field(default_factory=list)
    journey: Journey | None = None

    def note(self, kind: str, key: str, made: bool) -> None:
        (self.made if made else self.found).append((kind, key))


def recipe_keys() -> list[str]:
    """Keys of all recipes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_recipe(key: str) -> dict[str, Any]:
    """The recipe's JSON. Raises UnknownRecipe."""
    if key not in recipe_keys():
        raise UnknownRecipe(f"no recipe '{key}' (known: {', '.join(recipe_keys())})")
    recipe: dict[str, Any] = json.loads((FOLDER / f"{key}.json").read_text(encoding="utf-8"))
    return recipe


def install_recipe(
    key: str, *, now: datetime, by: Any = None, publishing: bool = True, enter_present: bool = False
) -> Installed:
    """Install a recipe and, unless told otherwise, publish its templates and its journey.

    `enter_present` lets the people who are in the trigger's segment now enter too. A journey that exists already
    is neither changed nor published again. Raises UnknownRecipe, or common.params.Invalid with every problem.
    """
    recipe, report = read_recipe(key), Installed()
    with transaction.atomic():
        _make_rewards(recipe, report)
        _make_templates(recipe, report, now=now, by=by, publishing=publishing)
        segments = _make_segments(recipe, report)
        fresh = _make_journey(recipe, report)
    for segment in segments:
        refresh_segment(segment, now)
    if fresh and publishing and report.journey:
        publish(report.journey, now=now, by=by, enter_present=enter_present)
        report.journey.refresh_from_db()
    audit.record("recipe installed", f"recipe:{key}", now=now, actor=by, detail={"made": report.made})
    return report


def _make(model: type[models.Model], rows: Sequence[Mapping[str, Any]], report: Installed, **links: Any) -> None:
    """Make the rows that are missing by key; `links` maps a field to the model its key points at."""
    for row in rows:
        given = dict(row)
        for name, target in links.items():
            if name in given:
                given[name] = target.objects.get(key=given[name])
        _, made = model._default_manager.get_or_create(key=given.pop("key"), defaults=given)
        report.note(str(model._meta.model_name), row["key"], made)


def _make_rewards(recipe: Mapping[str, Any], report: Installed) -> None:
    benefits = [{"currency": settings.CURRENCY} | row for row in recipe.get("benefits", ())]
    _make(Topic, recipe.get("topics", ()), report)
    _make(Benefit, benefits, report)
    _make(CouponPool, recipe.get("pools", ()), report, benefit=Benefit)
    _make(Level, recipe.get("levels", ()), report)
    _make(Badge, recipe.get("badges", ()), report)
    _make(Mission, recipe.get("missions", ()), report, badge=Badge)


def _make_templates(recipe: Mapping[str, Any], report: Installed, *, now: datetime, by: Any, publishing: bool) -> None:
    for key in recipe["templates"]:
        template, made = install_starter(key)
        report.note("template", key, made)
        if publishing and not template.versions.exists():
            publish_template(Template.objects.get(pk=template.pk), now=now, by=by)


def _make_segments(recipe: Mapping[str, Any], report: Installed) -> list[Segment]:
    """The recipe's segments that are new, their rules checked."""
    fresh = []
    for row in recipe["segments"]:
        parse_rule(row["rule"])
        segment, made = Segment.objects.get_or_create(
            key=row["key"], defaults={k: v for k, v in row.items() if k != "key"}
        )
        report.note("segment", row["key"], made)
        if made:
            fresh.append(segment)
    return fresh


def _make_journey(recipe: Mapping[str, Any], report: Installed) -> bool:
    """The campaign, its goal and its journey; says whether the journey is new."""
    wanted, plan = dict(recipe["campaign"]), recipe["journey"]
    campaign, made = Campaign.objects.get_or_create(
        key=wanted.pop("key"), defaults=wanted | {"currency": settings.CURRENCY}
    )
    report.note("campaign", campaign.key, made)
    goal = dict(recipe["goal"])
    _, made_goal = Goal.objects.get_or_create(campaign=campaign, key=goal.pop("key"), defaults=goal)
    report.note("goal", recipe["goal"]["key"], made_goal)
    report.journey, made = Journey.objects.get_or_create(
        key=plan["key"],
        defaults={
            "campaign": campaign,
            "name": plan["name"],
            "name_zh": plan["name_zh"],
            "description": recipe["about"],
            "description_zh": recipe["about_zh"],
            "draft": plan["graph"],
            "recipe": recipe["key"],
        },
    )
    report.note("journey", plan["key"], made)
    return made
