"""Installing a journey from text, a recipe or what was exported elsewhere: with segments, templates, goal and rewards.

Safe to repeat: what exists under its key is left as its owner made it, and only what is missing is made. `update`
replaces the draft of a journey that is there, and nothing else.
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

from campaigns.asks import answered
from campaigns.bundles import MODELS, check_shape
from campaigns.linting import find_all
from campaigns.lints import Finding, Severity
from campaigns.models import Campaign, Goal, Journey
from campaigns.publish import Forbidden, publish
from campaigns.review import note_edit, save_draft
from common import audit
from common.params import Invalid, Problem
from messaging.models import Template, Topic
from messaging.publish import publish_template
from messaging.starters import install_starter, read_starter, starter_keys
from segments.models import Badge, Benefit, CouponPool, Level, Mission, Segment
from segments.refresh import refresh_segment

FOLDER = Path(__file__).parent / "recipes"


class UnknownRecipe(LookupError):
    """There is no recipe of that key."""


@dataclass
class Installed:
    """What an installation made and what it found: (kind, key) pairs; `journey` is the text's own,
    `changed` when its draft was replaced, `waits` why it could not be published yet."""

    made: list[tuple[str, str]] = field(default_factory=list)
    found: list[tuple[str, str]] = field(default_factory=list)
    journey: Journey | None = None
    changed: bool = False
    waits: str = ""

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
    key: str,
    *,
    now: datetime,
    by: Any = None,
    publishing: bool = True,
    enter_present: bool = False,
    answers: Mapping[str, Any] | None = None,
) -> Installed:
    """Install a recipe and, unless told otherwise, publish its templates and its journey.

    Raises UnknownRecipe, campaigns.asks.Unanswered, or common.params.Invalid with every problem.
    """
    data = read_recipe(key)
    return install(
        data, now=now, by=by, publishing=publishing, enter_present=enter_present, answers=answers, recipe=key
    )


def install(
    data: Mapping[str, Any],
    *,
    now: datetime,
    by: Any = None,
    publishing: bool = False,
    enter_present: bool = False,
    answers: Mapping[str, Any] | None = None,
    update: bool = False,
    recipe: str = "",
) -> Installed:
    """Install a journey from its text; with `publishing`, publish its templates and its journey.

    `enter_present` lets the people who are in the trigger's segment now enter too. A journey that exists already is
    not published again; its draft is replaced only with `update`. Raises Unanswered, or Invalid with every problem;
    then nothing is stored.
    """
    bundle, report = _whole(data, answers), Installed()
    with transaction.atomic():
        segments = _make_all(bundle, report, now=now, by=by, publishing=publishing)
        fresh = _make_journey(bundle, report, now=now, by=by, recipe_key=recipe)
        if update and not fresh and report.journey:
            report.changed = save_draft(report.journey, bundle["journey"]["graph"], now=now, by=by)
    for segment in segments:
        refresh_segment(segment, now)
    if fresh and publishing and report.journey:
        try:
            publish(report.journey, now=now, by=by, enter_present=enter_present)
        except Forbidden as error:
            report.waits = str(error)
        report.journey.refresh_from_db()
    subject = f"recipe:{recipe}" if recipe else f"journey:{bundle['journey']['key']}"
    detail = {"made": report.made, "changed": report.changed}
    audit.record("recipe installed" if recipe else "journey.install", subject, now=now, actor=by, detail=detail)
    return report


@dataclass(frozen=True)
class Item:
    """One thing that a text brings: `there` when this installation has one under that key, which then stays."""

    kind: str
    key: str
    title: str
    title_zh: str
    there: bool


def preview(data: Mapping[str, Any]) -> list[Item]:
    """What installing would make and what it would find, in the order in which it is made; nothing is stored."""
    found: list[Item] = []
    for part, model in MODELS.items():
        found += _items(str(model._meta.model_name), model, data.get(part, ()))
    words = (
        [_starter_names(one) if isinstance(one, str) else one for one in data["templates"]]
        if "templates" in data
        else []
    )
    found += _items("template", Template, words)
    found += _items("campaign", Campaign, [data["campaign"]])
    return found + _items("journey", Journey, [data["journey"]])


def try_out(
    data: Mapping[str, Any], *, now: datetime, answers: Mapping[str, Any] | None = None
) -> tuple[list[Item], list[Finding]]:
    """What installing would make, and every finding of the journey as if it were installed here; nothing is stored.

    Raises Unanswered; everything else that is wrong is a finding.
    """
    try:
        bundle = _whole(data, answers)
    except Invalid as error:
        if type(error) is not Invalid:
            raise
        return [], [Finding(Severity.ERROR, one.message, one.path, "flow") for one in error.problems]
    with transaction.atomic():
        items, report = preview(bundle), Installed()
        try:
            _make_all(bundle, report, now=now, by=None, publishing=True)
            _make_journey(bundle, report, now=now, by=None, recipe_key="")
            assert report.journey is not None
            findings = find_all(report.journey, bundle["journey"]["graph"])
        except Invalid as error:
            findings = [Finding(Severity.ERROR, one.message, one.path, "flow") for one in error.problems]
        transaction.set_rollback(True)
    return items, findings


def _whole(data: Mapping[str, Any], answers: Mapping[str, Any] | None) -> dict[str, Any]:
    """The text with its questions answered, its shape proven."""
    bundle = answered(data, answers or {})
    problems = check_shape(bundle)
    known = set(starter_keys()) | set(Template.objects.values_list("key", flat=True))
    named = [one for one in bundle.get("templates", ()) if isinstance(one, str)]
    problems += [Problem(f"templates.{one}", "there is no such template") for one in named if one not in known]
    if problems:
        raise Invalid(problems)
    return bundle


def _items(kind: str, model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    keys = [row["key"] for row in rows]
    there = set(model._default_manager.filter(key__in=keys).values_list("key", flat=True))
    return [
        Item(kind, row["key"], str(row.get("name", "")), str(row.get("name_zh", "")), row["key"] in there)
        for row in rows
    ]


def _starter_names(key: str) -> dict[str, Any]:
    return read_starter(key) if key in starter_keys() else {"key": key}


def _make_all(
    bundle: Mapping[str, Any], report: Installed, *, now: datetime, by: Any, publishing: bool
) -> list[Segment]:
    """Everything but the journey; the segments that are new."""
    _make_rewards(bundle, report)
    _make_templates(bundle, report, now=now, by=by, publishing=publishing)
    return _make_segments(bundle, report)


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
    for one in recipe.get("templates", ()):
        template, made = _template(one)
        report.note("template", template.key, made)
        if publishing and not template.versions.exists():
            publish_template(Template.objects.get(pk=template.pk), now=now, by=by)


def _template(one: str | Mapping[str, Any]) -> tuple[Template, bool]:
    """The template of a text: a starter, or one that is there, by its key; or with its words."""
    if isinstance(one, str):
        there = Template.objects.filter(key=one).first()
        return (there, False) if there else install_starter(one)
    given = dict(one)
    topic = Topic.objects.filter(key=given.pop("topic", "")).first()
    return Template.objects.get_or_create(key=given.pop("key"), defaults={**given, "topic": topic})


def _make_segments(recipe: Mapping[str, Any], report: Installed) -> list[Segment]:
    """The recipe's segments that are new, their rules checked."""
    fresh = []
    for row in recipe.get("segments", ()):
        segment, made = Segment.objects.get_or_create(
            key=row["key"], defaults={k: v for k, v in row.items() if k != "key"}
        )
        report.note("segment", row["key"], made)
        if made:
            fresh.append(segment)
    return fresh


def _make_journey(recipe: Mapping[str, Any], report: Installed, *, now: datetime, by: Any, recipe_key: str) -> bool:
    """The campaign, its goal and its journey; says whether the journey is new."""
    wanted, plan = dict(recipe["campaign"]), recipe["journey"]
    campaign, made = Campaign.objects.get_or_create(
        key=wanted.pop("key"), defaults=wanted | {"currency": settings.CURRENCY}
    )
    report.note("campaign", campaign.key, made)
    if recipe.get("goal"):
        goal = dict(recipe["goal"])
        _, made_goal = Goal.objects.get_or_create(campaign=campaign, key=goal.pop("key"), defaults=goal)
        report.note("goal", recipe["goal"]["key"], made_goal)
    report.journey, made = Journey.objects.get_or_create(
        key=plan["key"],
        defaults={
            "campaign": campaign,
            "name": plan.get("name", plan["key"]),
            "name_zh": plan.get("name_zh", ""),
            "description": recipe.get("about", ""),
            "description_zh": recipe.get("about_zh", ""),
            "draft": plan["graph"],
            "holdout": plan.get("holdout"),
            "recipe": recipe_key,
        },
    )
    if made:
        note_edit(report.journey, now=now, by=by)
    report.note("journey", plan["key"], made)
    return made
