"""Everything we hold about a person, for that person (GDPR 15 and 20, PIPL 45): streamed, as JSON or a ZIP of files.

Rows are found by the foreign keys that lead to the person; apps contribute handlers for the rest.
"""

from __future__ import annotations

import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import IO, Any

from django.db.models import F, ForeignKey

from common.audit import record
from common.registry import Registry
from segments.frozen import freeze_row
from segments.holdings import Holding, Person, holdings
from segments.models import Profile

Row = Mapping[str, Any]
Section = tuple[str, Iterator[Row]]
OURS = frozenset({"shard", "tx", "lease_token", "lease_until", "claims", "kept", "origin"})  # says nothing of anybody
PIECE = 500


class ExportHandler(ABC):
    """What one part of an app knows of a person that no foreign key shows."""

    @abstractmethod
    def sections(self, person: Person, *, now: datetime) -> Iterator[Section]:
        """Named streams of rows that JSON can hold."""


handlers: Registry[ExportHandler] = Registry("export handlers", "segments")


def sections(profile: Profile, *, now: datetime) -> Iterator[Section]:
    """Every section of the person behind any of their profiles; each stream is to be read before the next."""
    person = Person.of(profile)
    yield "segments.profile", _rows(Profile, Profile.objects.filter(pk__in=person.ids))
    for holding in sorted(holdings(), key=lambda one: one.name):
        yield holding.name, _held(holding, person)
    for handler in handlers:
        yield from handler.sections(person, now=now)


def write_json(profile: Profile, out: IO[str], *, now: datetime) -> int:
    """One JSON object, a list for each section that holds anything; returns how many rows."""
    total = 0
    for piece, n in pieces(profile, now=now):
        out.write(piece)
        total += n
    return total


def pieces(profile: Profile, *, now: datetime) -> Iterator[tuple[str, int]]:
    """The JSON text a piece at a time, with the number of rows in each."""
    yield '{"exported_at": ' + json.dumps(now.isoformat()), 0
    for name, rows in sections(profile, now=now):
        first = True
        for row in rows:
            start = f",\n{json.dumps(name)}: [\n" if first else ",\n"
            yield start + line(row), 1
            first = False
        if not first:
            yield "]", 0
    yield "}\n", 0


def write_zip(profile: Profile, out: IO[bytes], *, now: datetime) -> int:
    """A ZIP with a file of JSON lines for each section that holds anything; returns how many rows."""
    counts: dict[str, int] = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in sections(profile, now=now):
            first = next(rows, None)
            if first is None:
                continue
            counts[name] = 1
            with archive.open(f"{name}.jsonl", "w") as member:
                member.write((line(first) + "\n").encode())
                for row in rows:
                    member.write((line(row) + "\n").encode())
                    counts[name] += 1
        said = {"exported_at": now.isoformat(), "rows": counts}
        archive.writestr("manifest.json", json.dumps(said, indent=1))
    return sum(counts.values())


def note(profile: Profile, *, now: datetime, actor: Any = None) -> None:
    """That it was exported, and by whom: an export leaves the house."""
    record("person.export", f"person:{profile.public_id}", now=now, actor=actor)


def line(row: Row) -> str:
    """One row as JSON text."""
    return json.dumps(row, ensure_ascii=False)


def _held(holding: Holding, person: Person) -> Iterator[Row]:
    return _rows(holding.model, holding.rows(person.ids))


def _has_key(model: type[Any]) -> bool:
    return any(one.name == "key" for one in model._meta.concrete_fields)


def _rows(model: type[Any], rows: Any) -> Iterator[Row]:
    """The rows with the keys of what they point at, where that has one: a journey, an arm, a badge."""
    named = {
        f"{one.name}_key": F(f"{one.name}__key")
        for one in model._meta.concrete_fields
        if isinstance(one, ForeignKey) and _has_key(one.related_model)
    }
    columns = [one.attname for one in model._meta.concrete_fields if one.name not in OURS]
    for row in rows.order_by("pk").values(*columns, **named).iterator(PIECE):
        yield freeze_row(row)
