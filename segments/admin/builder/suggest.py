"""What an input may hold, from the data: traits and their values, facts and their properties, things with keys.

A parameter named as a model of things with keys ("segment", "levels", "topic") is offered those things, whichever app
they belong to; nothing is listed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection

from common.models.named import Named
from segments.admin.builder.inputs import Input, inputs_of
from segments.models import Event, EventProperty, Profile, Trait
from segments.rules.operators._traits import COLUMNS

MOST = 300
LOOKED_AT = 200  # people, or facts of a name, whose values are shown
MOST_EVENTS = 8  # names of facts in one rule whose properties are looked up
SHORTEST = 4  # letters of a name that may stand for the end of another
SAMPLED = ("country", "city", "locale", "timezone", "gender")
NAMES_OF_FACTS = (
    "WITH RECURSIVE names(name) AS (SELECT MIN(name) FROM segments_event UNION ALL"
    " SELECT (SELECT MIN(name) FROM segments_event WHERE name > names.name) FROM names WHERE names.name IS NOT NULL)"
    " SELECT name FROM names WHERE name IS NOT NULL LIMIT %s"
)  # steps along the index from name to name, instead of reading it whole


Option = tuple[str, str]  # a value, and what it is called


def source_of(op: str, one: Input) -> str:
    """What an input is offered: fact, trait, value, property, or the name of a model of things with keys."""
    inputs, name = inputs_of(op), one.name
    if one.suggests:
        return one.suggests
    if name == "event" or (name in ("first", "then") and "then" in inputs):
        return "fact"
    if name == "property" or one.kind == "tests":
        return "property"
    if name == "trait":
        return "trait"
    if name in ("value", "values") and "trait" in inputs:
        return "value"
    if one.kind not in ("text", "list"):
        return ""  # "count" is a number and no account
    return _model_called(name) or _model_called(name.removesuffix("s"))


def _model_called(name: str) -> str:
    """The model of that name, or the one whose name ends so: "list" is a static list, "pool" a pool of coupons."""
    if name in named_models():
        return name
    ends = [model for model in named_models() if len(name) >= SHORTEST and model.endswith(name)]
    return ends[0] if len(ends) == 1 else ""


def fact_beside(op: str, one: Input, params: Mapping[str, Any]) -> str:
    """The name of the fact whose properties an input speaks of."""
    beside = one.name.removesuffix("_where")
    return str(params.get(beside if beside in inputs_of(op) and beside != one.name else "event", ""))


@cache
def named_models() -> dict[str, type[Named]]:
    return {str(model._meta.model_name): model for model in apps.get_models() if issubclass(model, Named)}


class Known:
    """Looks each thing up once for a whole rule, and only what some question of it asks for."""

    def __init__(self) -> None:
        self._listed: dict[str, list[Option]] = {}
        self._properties: dict[str, list[str]] = {}
        self._values: dict[str, list[str]] | None = None

    def options(self, source: str) -> list[Option]:
        """What a source that is the same for every question offers."""
        if source not in self._listed:
            self._listed[source] = list(self._look_up(source))
        return self._listed[source]

    def values(self, trait: str) -> list[Option]:
        """Values that a trait was seen with."""
        return [(value, "") for value in self._seen().get(trait, [])]

    def properties(self, fact: str) -> list[Option]:
        """Properties that facts of a name were seen with, learnt or else read from the newest of them."""
        if fact not in self._properties:
            if not fact or len(self._properties) >= MOST_EVENTS:
                return []
            learnt = EventProperty.objects.filter(event=fact).exclude(key="").order_by("key")
            names = list(learnt.values_list("key", flat=True).distinct()[:MOST])
            newest = Event.objects.filter(name=fact).order_by("-occurred_at")
            self._properties[fact] = names or list(_collect(newest.values_list("properties", flat=True)[:LOOKED_AT]))
        return [(name, "") for name in self._properties[fact]]

    def _look_up(self, source: str) -> Iterable[Option]:
        if source == "fact":
            with connection.cursor() as cursor:
                cursor.execute(NAMES_OF_FACTS, [MOST])
                return [(name, "") for (name,) in cursor.fetchall()]
        if source == "trait":
            return [(name, "") for name in sorted({*COLUMNS, *self._seen()})]
        model = named_models().get(source)
        rows = model._default_manager.order_by("key")[:MOST] if model else []
        return [(row.key, row.title) for row in rows]

    def _seen(self) -> dict[str, list[str]]:
        if self._values is None:
            people = Profile.objects.order_by("-pk").values(*SAMPLED)[:LOOKED_AT]
            self._values = _collect(people)
            for key, examples in Trait.objects.order_by("key").values_list("key", "examples")[:MOST]:
                self._values[key] = [str(one) for one in examples if not isinstance(one, list | dict)]
        return self._values


def _collect(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Each key with up to twenty different values, as they are written in an input."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for key, value in (row or {}).items():
            seen = found.setdefault(key, {})
            if len(seen) < 20 and isinstance(value, str | int | float) and value != "":
                seen[str(value).lower() if isinstance(value, bool) else str(value)[:200]] = None
    return {key: list(values) for key, values in sorted(found.items())}
