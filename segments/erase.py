"""Erasing a person, completely (GDPR 17, PIPL 47): what remains is an empty profile and keyed hashes of addresses.

First, in one transaction, the person is marked as erased, suppressed and unnamed: nothing is sent from then on.
Then every row that hangs on them goes, a piece at a time. Killed in between, the same call goes on. Apps
contribute handlers for what foreign keys do not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model, QuerySet

from common.audit import record
from common.faults import faultpoint
from common.models import AuditEntry, Parked
from common.registry import Registry
from segments.facts.append import append_engine_facts
from segments.facts.names import ERASED
from segments.holdings import Holding, Person, holdings
from segments.models import Event, Identity, Profile
from segments.unmerge import root_of

STEP = 2000
PASSES = 4  # what a worker held when it began may come after its table was emptied; the last pass finds nothing
BLANK: dict[str, Any] = {
    "email": "", "phone": "", "first_name": "", "last_name": "", "locale": "", "timezone": "", "country": "",
    "city": "", "gender": "", "birthday": None, "registered_at": None, "traits": {},
}  # fmt: skip


class EraseHandler:
    """What one part of an app must do beside the deletion of every row that hangs on a person."""

    keeps: ClassVar[tuple[type[Model], ...]] = ()  # models whose rows it settles itself

    def search(self, person: Person, *, now: datetime) -> int:
        """Remove what only their names lead to; asked before and after all else. Returns how many rows."""
        return 0

    def close(self, person: Person, *, now: datetime) -> None:
        """In the transaction that marks them as erased: suppress, cancel, end."""

    def settle(self, person: Person, *, now: datetime) -> int:
        """Settle the rows of `keeps`; returns how many."""
        return 0

    def waits(self, model: type[Model], rows: QuerySet[Any]) -> QuerySet[Any] | None:
        """Those of the rows that must stay a little longer (a message on the wire), None for none."""
        return None


handlers: Registry[EraseHandler] = Registry("erase handlers", "segments")


@dataclass
class Erased:
    """What was removed, by model; `waiting` rows stay until somebody asks again."""

    rows: dict[str, int] = field(default_factory=dict)
    waiting: int = 0

    def count(self, name: str, n: int) -> None:
        if n:
            self.rows[name] = self.rows.get(name, 0) + n


def erase(profile: Profile, *, now: datetime, actor: Any = None) -> Erased:
    """Erase the person behind any of their profiles; asked again, it goes on or does nothing."""
    person, done = Person.of(profile), Erased()
    _search(person, done, now=now)
    with transaction.atomic():
        new = _close(person, now=now)
    faultpoint("between_erase_models")
    for key, handler in handlers.items():
        done.count(key, handler.settle(person, now=now))
    kept = {model for handler in handlers for model in handler.keeps}
    for _ in range(PASSES):
        before = sum(done.rows.values())
        done.waiting = 0
        for holding in holdings():
            if holding.model not in kept:
                _empty(holding, person, done)
                faultpoint("between_erase_models")
        if sum(done.rows.values()) == before:
            break
    _search(person, done, now=now)
    if new or done.rows or not Event.objects.filter(profile=person.profile, name=ERASED).exists():
        with transaction.atomic():
            _tell(person, done, now=now, actor=actor)
    return done


def unfinished() -> list[Profile]:
    """Erased people of whom there are rows, still or again: a message was on the wire, a word came late."""
    found: set[int] = set()
    for holding in holdings():
        for path in holding.paths:
            rows = holding.model._default_manager.filter(**{f"{path}__erased_at__isnull": False})
            rows = rows.exclude(name=ERASED) if holding.model is Event else rows
            found |= set(rows.order_by().values_list(f"{path}", flat=True).distinct())
    return list(Profile.objects.filter(pk__in={root_of(pk) for pk in found}).order_by("pk"))


def finish(now: datetime, *, actor: str) -> tuple[int, int]:
    """Erase what is unfinished; returns how many people were looked at, and how many rows still wait."""
    people = unfinished()
    return len(people), sum(erase(person, now=now, actor=actor).waiting for person in people)


def _close(person: Person, *, now: datetime) -> bool:
    """Mark, suppress and unname the whole family; returns whether that is new."""
    rows = Profile.objects.filter(pk__in=person.ids).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))
    for handler in handlers:
        handler.close(person, now=now)
    Identity.objects.filter(profile__in=person.ids).delete()
    alive = rows.filter(erased_at=None)
    return bool(alive.update(erased_at=now, first_seen_at=now, last_seen_at=now, **BLANK))


def _search(person: Person, done: Erased, *, now: datetime) -> None:
    for key, handler in handlers.items():
        done.count(key, handler.search(person, now=now))


def _empty(holding: Holding, person: Person, done: Erased) -> None:
    """Delete a model's rows of the person in short transactions, with what is parked or noted about each."""
    rows = holding.rows(person.ids)
    if holding.model is Event:
        rows = rows.exclude(name=ERASED)
    for handler in handlers:
        waiting = handler.waits(holding.model, rows)
        if waiting is not None:
            held = set(waiting.values_list("pk", flat=True))
            done.waiting += len(held)
            rows = rows.exclude(pk__in=held)
    while ids := list(rows.order_by().values_list("pk", flat=True)[:STEP]):
        with transaction.atomic():
            _let_go(holding.model, ids)
            _forget_notes(holding.model, ids)
            model_rows = holding.model._default_manager.filter(pk__in=ids)
            done.count(holding.name, len(ids))
            model_rows.delete()


def _let_go(model: type[Model], ids: Sequence[Any]) -> None:
    """Rows that others of their own table point at are untied first."""
    for one in model._meta.concrete_fields:
        if one.related_model is model and one.null:
            model._default_manager.filter(**{f"{one.name}__in": ids}).update(**{one.name: None})


def _forget_notes(model: type[Model], ids: Sequence[Any]) -> None:
    """What was parked about these rows, and what was said about them in the audit log."""
    noun = str(model._meta.model_name)
    subjects = [f"{noun}:{pk}" for pk in ids]
    if model is Event:
        subjects += [f"fact:{pk}" for pk in ids]
    if any(one.name == "public_id" for one in model._meta.concrete_fields):
        public = model._default_manager.filter(pk__in=ids).values_list("public_id", flat=True)
        subjects += [f"{noun}:{public_id}" for public_id in public]
    Parked.objects.filter(subject__in=subjects).delete()
    forget_reasons(subjects)


def forget_reasons(subjects: Iterable[str]) -> None:
    """Entries of the audit log stay, but not what somebody wrote in them about the person."""
    AuditEntry.objects.filter(subject__in=list(subjects)).exclude(reason="").update(reason="")


def _tell(person: Person, done: Erased, *, now: datetime, actor: Any) -> None:
    """The fact and the audit entry, which say that it was done and nothing of whom."""
    rows = Profile.objects.filter(pk__in=person.ids).values_list("pk", "shard", "public_id")
    forget_reasons(f"person:{public_id}" for _, _, public_id in rows)
    append_engine_facts([(pk, shard, ERASED, f"erased:{pk}", {}) for pk, shard, _ in rows], now=now)
    record("person.erase", f"person:{person.profile.public_id}", now=now, actor=actor, detail={"rows": done.rows})
