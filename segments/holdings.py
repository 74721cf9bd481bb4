"""Everything the database holds about one person: found by following foreign keys from the profile, so that a new
table is exported and erased without anybody having to remember it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from operator import or_
from typing import Any

from django.apps import apps
from django.db.models import ForeignKey, Model, Q, QuerySet, TextField
from django.db.models.functions import Cast

from segments.merge import family
from segments.models import Identity, Profile
from segments.unmerge import root_of


@dataclass(frozen=True)
class Person:
    """One human being: the living profile and every profile that became part of it, with all their names."""

    profile: Profile
    ids: frozenset[int]
    names: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, profile: Profile) -> Person:
        """The whole person behind any of their profiles."""
        root = Profile.objects.get(pk=root_of(profile.pk))
        ids = frozenset(family(root.pk))
        names = set(Identity.objects.filter(profile__in=ids).values_list("kind", "value"))
        for email, phone in Profile.objects.filter(pk__in=ids).values_list("email", "phone"):
            names |= {("email", email), ("phone", phone)}
        return cls(root, ids, frozenset(name for name in names if name[1]))

    def values(self, *kinds: str) -> list[str]:
        """The names of these kinds, sorted."""
        return sorted(value for kind, value in self.names if kind in kinds)

    def named_in(self, text: str) -> bool:
        """Whether a text names the person: an address as a word of its own, an id as a whole JSON value."""
        return any(pattern.search(text) for pattern in self._patterns)

    @cached_property
    def needles(self) -> list[str]:
        """What to look for in a text before asking `named_in`: names as JSON writes them."""
        return sorted({form for _, value in self.names for form in _written(value)})

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        found = []
        for kind, value in self.names:
            said = f"(?:{'|'.join(map(re.escape, _written(value)))})"
            if kind in ("email", "phone"):
                found.append(re.compile(rf"(?<![\w.+@-]){said}(?![\w@-]|\.\w)", re.IGNORECASE))
            else:
                found.append(re.compile(rf'"{said}"|[:\[,]\s*{said}\s*[,\]}}]'))
        return found


def _written(value: str) -> list[str]:
    """A name as it may stand in JSON: as it is, and in ASCII alone (SQLite's columns)."""
    return sorted({json.dumps(value, ensure_ascii=pure)[1:-1] for pure in (False, True)})


def naming(rows: QuerySet[Any], column: str, person: Person) -> Iterator[Any]:
    """Rows whose text (or JSON) names the person; each brings it as `said`."""
    if not person.needles:
        return
    texts = rows.annotate(said=Cast(column, TextField()))
    # a needle may be a part of another word: whether it is the person is for `named_in` to say
    found = texts.filter(reduce(or_, (Q(said__icontains=needle) for needle in person.needles)))
    yield from (row for row in found.iterator() if person.named_in(row.said))


@dataclass(frozen=True)
class Holding:
    """The rows of one model that belong to people, by the paths that lead from them to a profile."""

    model: type[Model]
    paths: tuple[str, ...]

    def rows(self, ids: frozenset[int]) -> QuerySet[Any]:
        """The rows of these profiles."""
        wanted = Q()
        for path in self.paths:
            wanted |= Q(**{f"{path}__in": ids})
        return self.model._default_manager.filter(wanted)

    @property
    def name(self) -> str:
        return self.model._meta.label_lower


@lru_cache(maxsize=1)
def holdings() -> tuple[Holding, ...]:
    """Every model whose rows belong to people, those that hang on others before those they hang on.

    A model with a foreign key of its own to Profile is reached by that; another one by the nearest it hangs on.
    """
    found: dict[type[Model], tuple[str, ...]] = {}
    for model in apps.get_models():
        direct = tuple(key.name for key in _keys(model) if key.related_model is Profile)
        if direct and model is not Profile:
            found[model] = direct
    layer = dict(found)
    while layer:
        beyond: dict[type[Model], tuple[str, ...]] = {}
        for model in apps.get_models():
            paths = [f"{key.name}__{path}" for key in _keys(model) for path in layer.get(key.related_model, ())]
            if paths and model not in found and model is not Profile:
                beyond[model] = tuple(paths)
        found |= beyond
        layer = beyond
    return tuple(Holding(model, paths) for model, paths in reversed(found.items()))


def _keys(model: type[Model]) -> Iterator[ForeignKey[Any, Any]]:
    return (field for field in model._meta.concrete_fields if isinstance(field, ForeignKey))
