"""Lists of people, put together by hand or from a file: who is on one changes only here, and each change is a fact.

A file is taken row by row: whoever is found is put on the list or taken off, whoever is not found is refused with
the line and the reason, and the rest go on. Every batch is a short transaction of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from common.params import Invalid, Problem
from common.semijoin import among
from common.text import say
from segments.bulk import insert
from segments.facts.append import append_engine_facts
from segments.facts.names import LIST_ADDED, LIST_REMOVED
from segments.imports.files import Row, open_file
from segments.ingest.check import MESSAGES, text_problem
from segments.ingest.limits import Refused
from segments.ingest.traits import read_email, read_phone
from segments.models import Identity, Profile
from segments.models.groups import ListMember, StaticList

Action = Literal["add", "remove", "replace"]
BATCH = 1000
NAMES = ("user_id", "email", "phone", "anonymous_id", "public_id")  # the first that is filled tells who it is
MEMBER = (("list_id", "bigint"), ("profile_id", "bigint"), ("added_at", "timestamptz"))


@dataclass(frozen=True)
class Refusal:
    """One row of a file that names nobody: its line, a code for programs, a reason for people, the row."""

    line: int
    code: str
    reason: str
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Uploaded:
    """What a file did: rows read, people put on and taken off, people who were right already, rows refused."""

    rows: int = 0
    added: int = 0
    removed: int = 0
    known: int = 0
    refused: int = 0


def upload(
    target: StaticList, path: Path, *, action: Action, now: datetime, refuse: Callable[[Refusal], None]
) -> Uploaded:
    """Put the people of a file on a list, take them off it, or make the list exactly theirs.

    CSV (UTF-8, UTF-16, GB18030), JSONL or Parquet with one of the columns NAMES. `refuse` is told of every row that
    names nobody. Raises Invalid for a file that cannot be read, and when a replacement would leave nobody.
    """
    reader = open_file(path)
    names = [name for name in NAMES if name in reader.columns or not reader.columns]
    if not names:
        columns = ", ".join(NAMES)
        said = say(f"the file needs a column named one of: {columns}", f"文件须有一列名为以下之一：{columns}")
        raise Invalid([Problem("file", said)])
    done, number, named = Uploaded(), secrets.randbits(62), False
    for rows in _batches(reader.rows(names, skip=0)):
        found, refused = _find(rows, names)
        for one in refused:
            refuse(one)
        named = named or bool(found)
        if action == "remove":
            changed = remove_people(target, found, now=now)
        else:
            changed = add_people(target, found, now=now, number=number if action == "replace" else None)
        done = _counted(done, action, len(rows), len(changed), len(refused))
    if action == "replace":
        if not named:
            said = say("nobody in the file is known, so the list stays as it is", "文件中无人可识别，名单保持不变")
            raise Invalid([Problem("file", said)])
        done = replace(done, removed=_keep_only(target, number, now=now))
    return done


def change(
    target: StaticList, people: Sequence[Mapping[str, Any]], *, action: Literal["add", "remove"], now: datetime
) -> tuple[Uploaded, list[Refusal]]:
    """The same for a few people named by a program; the line of a refusal is the person's place, from 0."""
    found, refused = _find(list(enumerate(people)), NAMES)
    changed = (remove_people if action == "remove" else add_people)(target, found, now=now)
    return _counted(Uploaded(), action, len(people), len(changed), len(refused)), refused


def add_people(
    target: StaticList, ids: Collection[int], *, now: datetime, number: int | None = None, depth: int = 0
) -> list[int]:
    """Put these profiles on the list; returns those who were not on it. A replacement leaves its `number` on each;
    `depth` is that of the facts it states."""
    if not ids:
        return []
    with transaction.atomic():
        _lock(target)
        rows = [(target.pk, pk, now) for pk in sorted(ids)]
        new = insert("segments_listmember", MEMBER, rows, conflict="(list_id, profile_id) DO NOTHING",
                     returning="id, profile_id")  # fmt: skip
        if number is not None:
            ListMember.objects.filter(among("profile_id", ids), list=target).update(named_by=number)
        held = [(int(member), int(person)) for member, person in new]
        return _tell(target, LIST_ADDED, held, now=now, depth=depth)


def remove_people(target: StaticList, ids: Collection[int], *, now: datetime, depth: int = 0) -> list[int]:
    """Take these profiles off the list; returns those who were on it."""
    if not ids:
        return []
    with transaction.atomic():
        _lock(target)
        rows = ListMember.objects.filter(among("profile_id", ids), list=target)
        held = list(rows.order_by("pk").values_list("pk", "profile_id"))
        ListMember.objects.filter(among("pk", [member for member, _ in held])).delete()
        return _tell(target, LIST_REMOVED, held, now=now, depth=depth)


def _keep_only(target: StaticList, number: int, *, now: datetime) -> int:
    """Take off everybody whom the replacement did not name, a batch at a time; returns how many."""
    rows = ListMember.objects.filter(list=target).filter(Q(named_by=None) | ~Q(named_by=number)).order_by("pk")
    last = taken = 0
    while some := list(rows.filter(pk__gt=last).values_list("pk", "profile_id")[:BATCH]):
        last = some[-1][0]
        taken += len(remove_people(target, [person for _, person in some], now=now))
    return taken


def _lock(target: StaticList) -> None:
    """One writer of a list at a time, so that each change is told once."""
    StaticList.objects.select_for_update(no_key=True).get(pk=target.pk)


def _tell(
    target: StaticList, name: str, held: Sequence[tuple[int, int]], *, now: datetime, depth: int = 0
) -> list[int]:
    """State each change as a fact, keyed by the row of the list, and keep the list's size."""
    people = [person for _, person in held]
    shards = dict(Profile.objects.filter(among("pk", people)).values_list("pk", "shard"))
    said = {"list": target.key}
    facts = [(person, shards[person], name, f"{name}:{member}", said) for member, person in held]
    append_engine_facts(facts, now=now, depth=depth)
    by = len(held) if name == LIST_ADDED else -len(held)
    StaticList.objects.filter(pk=target.pk).update(size=F("size") + by, changed_at=now)
    return people


def _find(rows: Sequence[Row], names: Sequence[str]) -> tuple[set[int], list[Refusal]]:
    """The people whom the rows name, and the rows that name nobody."""
    found, refused = find_each(rows, names)
    return {person for person, _row in found}, refused


def find_each(rows: Sequence[Row], names: Sequence[str]) -> tuple[list[tuple[int, Row]], list[Refusal]]:
    """Each row with the profile that it names, by the first of `names` that is filled, and rows that name nobody."""
    wanted = [_name_of(row, names) for _, row in rows]
    known = _look_up({one for one in wanted if isinstance(one, tuple)})
    found: list[tuple[int, Row]] = []
    refused: list[Refusal] = []
    for (line, row), name in zip(rows, wanted, strict=True):
        if isinstance(name, Refused):
            refused.append(Refusal(line, name.code, name.message, {} if isinstance(row, Refused) else row))
        elif name in known:
            found.append((known[name], (line, row)))
        else:
            refused.append(Refusal(line, "unknown", f"nobody is known by this {name[0]}", row))
    return found, refused


def _name_of(row: Any, names: Sequence[str]) -> tuple[str, str] | Refused:
    """The first name that is filled, in its usual form."""
    if isinstance(row, Refused):
        return row
    for kind in names:
        text = str(row.get(kind) or "").strip()
        if problem := text_problem(text):
            return Refused(problem, kind, MESSAGES[problem])
        if text:
            value = _READ[kind](text) if kind in _READ else text
            return (kind, value) if value else Refused("not_a_name", kind, f"'{text[:80]}' is no {kind}")
    return Refused("no_name", "", "the row names nobody")


def _look_up(wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The living profile of each name."""
    alive = {"profile__merged_into__isnull": True, "profile__erased_at__isnull": True}
    found: dict[tuple[str, str], int] = {}
    for kind in {kind for kind, _ in wanted}:
        values = [value for one, value in wanted if one == kind]
        if kind == "public_id":
            rows = Profile.objects.filter(public_id__in=values, merged_into=None, erased_at=None)
            found |= {(kind, str(public)): pk for public, pk in rows.values_list("public_id", "pk")}
        else:
            names = Identity.objects.filter(kind=kind, value__in=values, **alive)
            found |= {(kind, value): pk for value, pk in names.values_list("value", "profile_id")}
    return found


def _read_public_id(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


_READ: dict[str, Callable[[str], str | None]] = {
    "email": read_email,
    "phone": read_phone,
    "public_id": _read_public_id,
}


def _counted(done: Uploaded, action: Action, rows: int, changed: int, refused: int) -> Uploaded:
    off = action == "remove"
    return Uploaded(
        done.rows + rows,
        done.added + (0 if off else changed),
        done.removed + (changed if off else 0),
        done.known + rows - refused - changed,
        done.refused + refused,
    )


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(rows)
    while some := list(islice(left, BATCH)):
        yield some
