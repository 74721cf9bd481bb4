"""What an operator says about a host's model: which one, which of its fields mean what, and how far it was read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError, ValidationError
from django.db.models import DateField, DateTimeField, Model

from common.params import Invalid, Problem
from segments.imports.options import Options, check_options, read_since
from segments.models import ImportJob


@dataclass(frozen=True)
class HostModel:
    """One mapping. `fields`: our field → a field of the model (relations with "__"), a ":constant", or a text with
    {fields}. `updated` is the field that grows with every change; without one only new rows are seen, by key."""

    model: str
    kind: str
    fields: Mapping[str, str]
    source: str = ""
    updated: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    zone: str = "UTC"
    live: bool = False
    live_since: str = ""
    lag_seconds: int = 60

    @classmethod
    def read(cls, said: Any) -> HostModel:
        """A mapping as a file or the settings have it. Raises Invalid with every problem."""
        if not isinstance(said, Mapping):
            raise Invalid([Problem("mapping", "this is a table of model, kind and fields")])
        known = cls.__dataclass_fields__
        problems = [Problem(name, "there is no such setting") for name in said if name not in known]
        problems += [Problem(name, "this is missing") for name in ("model", "kind", "fields") if name not in said]
        for name, value in said.items():
            wanted = WANTED.get(name)
            if wanted and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
                problems.append(Problem(name, f"this is a {WORDS[wanted]}"))
        if problems:
            raise Invalid(problems)
        found = cls(**said)
        found.check()
        return found

    @property
    def options(self) -> Options:
        """The same as an import has it."""
        since: datetime | None = read_since(self.live_since) if self.live_since else None
        return Options(fields=dict(self.fields), zone=self.zone, live_since=since)

    @property
    def host(self) -> type[Model]:
        return apps.get_model(self.model)

    @property
    def digest(self) -> str:
        """Changes when rows would be read another way."""
        said = {
            name: value for name, value in asdict(self).items() if name not in ("live", "live_since", "lag_seconds")
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()

    def check(self) -> None:
        """Raises Invalid with every problem."""
        if self.kind not in ImportJob.Kind.values:
            raise Invalid([Problem("kind", f"this is one of {', '.join(ImportJob.Kind.values)}")])
        try:
            host = self.host
        except (LookupError, ValueError):
            raise Invalid([Problem("model", f"there is no model '{self.model}' (app.Model)")]) from None
        problems = []
        try:
            check_options(self.kind, self.options, ())
        except Invalid as invalid:
            problems += invalid.problems
        for name in (*self.options.columns(), *([self.updated] if self.updated else [])):
            try:
                host._default_manager.values_list(name)
            except FieldError:
                problems.append(Problem("fields", f"{self.model} has no field '{name}'"))
        try:
            host._default_manager.filter(**self.where)
        except (FieldError, TypeError, ValueError, ValidationError) as error:
            problems.append(Problem("where", str(error)[:200]))
        if self.updated and not problems and not isinstance(_field(host, self.updated), DateField | DateTimeField):
            problems.append(Problem("updated", "this is a date or a time of the model itself"))
        if problems:
            raise Invalid(problems)


WANTED: Mapping[str, type] = {
    "model": str, "kind": str, "fields": Mapping, "source": str, "updated": str, "where": Mapping, "zone": str,
    "live": bool, "live_since": str, "lag_seconds": int,
}  # fmt: skip
WORDS: Mapping[type, str] = {str: "text", Mapping: "table", bool: "yes or no", int: "whole number"}


def _field(host: type[Model], name: str) -> Any:
    return next((one for one in host._meta.concrete_fields if name in (one.name, one.attname)), None)
