"""Who a call speaks of: names resolved to people in the order of the calls, and new people written in sets.

A user id is a known person. An anonymous id, an e-mail address or a phone number belongs to somebody who may yet
turn out to be a known person: an identify or alias call of a trusted sender joins them. Two people with user ids
are never joined here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection

from common.buckets import bucket_of, shard_of
from common.clock import is_postgres
from segments.bulk import given, insert, plain
from segments.ingest.call import LINKING, Call
from segments.ingest.limits import Refused
from segments.portrait import PORTRAIT, Portrait, blank_portrait

USER, ANONYMOUS, EMAIL, PHONE = "user_id", "anonymous_id", "email", "phone"
Name = tuple[str, str]
Span = tuple[datetime, datetime]
SEEN_APART = timedelta(minutes=1)  # last seen lags by less: it is indexed, and most calls come in bursts
IDENTITY = (("kind", "varchar"), ("value", "varchar"), ("profile_id", "bigint"), ("created_at", "timestamptz"))


class Contended(Exception):
    """Somebody else made the same person in the meantime: do the batch again."""


@dataclass(eq=False, slots=True)
class Person:
    """Somebody in a batch. `id` is 0 until written; `known` has a user id; `settled`: first and last seen need not
    move for this batch; `into` is who it turned out to be."""

    id: int = 0
    shard: int = -1
    known: bool = False
    settled: bool = False
    into: Person | None = None

    @property
    def root(self) -> Person:
        person = self
        while person.into is not None:
            person = person.into
        return person


class People:
    """The people whom the calls of one batch name. `resolve` the calls in order, then `write` what is new."""

    def __init__(self, names: Iterable[Name], span: Span | None = None) -> None:
        self._named = read_names(names, span)
        self._attached: list[tuple[Name, Person]] = []
        self.created: list[Person] = []
        self.adopted: list[Person] = []
        self.merges: list[tuple[Person, Person]] = []
        self.became_known: set[int] = set()

    def resolve(self, call: Call) -> Person:
        """The person of a call; new names are attached and merges noted. Raises Refused for a forbidden alias."""
        linking = call.kind in LINKING
        if not linking:
            found = self._named.get((USER, call.user_id) if call.user_id else (ANONYMOUS, call.anonymous_id))
            if found is not None:
                return found.root
        call = self._turn(call)
        if not call.user_id:
            person = self._unknown_person(call)
        else:
            person = self._known_person(call, linking)
            if linking:
                for name in _unproven(call):
                    self._link(name, person.root)
                person = person.root
            if call.symmetric and (USER, call.previous_id) not in self._named:
                self._attach((USER, call.previous_id), person)
        if linking:
            for name in ((EMAIL, call.email), (PHONE, call.phone)):
                if name[1] and name not in self._named:
                    self._attach(name, person)
        return person

    def write(self, portraits: Mapping[Person, Portrait], *, now: datetime) -> None:
        """Insert the new people as drawn (or blank) and the new names. Raises Contended."""
        fresh = [person for person in self.created if person.into is None]
        if fresh:
            blank = blank_portrait(now)
            made = [(*_place(), False, *portraits.get(person, blank)) for person in fresh]
            found = insert("segments_profile", (*PROFILE, *PORTRAIT), made, returning="id, public_id")
            ids = {_uuid(public_id): pk for pk, public_id in found}
            for person, row in zip(fresh, made, strict=True):
                person.id, person.shard = ids[row[0]], row[1]
        names = sorted((name, person.root.id) for name, person in self._attached)
        if names:
            own = [(kind, value, pk, now) for (kind, value), pk in names]
            done = insert("segments_identity", IDENTITY, own, conflict="(kind, value) DO NOTHING", returning="id")
            if len(done) < len(names):
                raise Contended

    def knows(self, call: Call) -> bool:
        """Whether the call's strongest name is somebody's."""
        return ((USER, call.user_id) if call.user_id else (ANONYMOUS, call.anonymous_id)) in self._named

    def _of(self, name: Name) -> Person | None:
        person = self._named.get(name)
        return person.root if person else None

    def _new(self) -> Person:
        person = Person()
        self.created.append(person)
        return person

    def _attach(self, name: Name, person: Person) -> None:
        self._named[name] = person
        self._attached.append((name, person))

    def _unknown_person(self, call: Call) -> Person:
        """The person of a call without a user id, by the first name it has."""
        name = next(name for name in names_of(call) if name[1])
        person = self._of(name)
        if person is None:
            person = self._new()
            self._attach(name, person)
        return person

    def _known_person(self, call: Call, linking: bool) -> Person:
        """The person of a user id; a new user id adopts the sender's own unknown person, if the call may link."""
        name = (USER, call.user_id)
        person = self._of(name)
        if person is None:
            others = [self._of(other) for other in _unproven(call)] if linking else []
            person = next((other for other in others if other and not other.known), None) or self._new()
            self._attach(name, person)
            self._make_known(person)
        return person

    def _make_known(self, person: Person) -> None:
        person.known = True
        self.became_known.add(id(person))
        if person.id:
            self.adopted.append(person)

    def _link(self, name: Name, person: Person) -> None:
        """Give the name to the person: attach a new one, merge an unknown holder, leave a known holder alone.

        A person whom this very batch makes becomes part of the visitor who was there: no row has to move for that.
        """
        holder = self._of(name)
        if holder is None:
            if name[0] == ANONYMOUS:
                self._attach(name, person)
        elif holder is person or holder.known:
            return
        elif holder.id and not person.id:
            person.into = holder
            self._make_known(holder)
        else:
            holder.into = person
            if holder.id:
                self.merges.append((holder, person))

    def _turn(self, call: Call) -> Call:
        """An alias that may stand either way, turned so that its user id is the one somebody has."""
        user, previous = (USER, call.user_id), (USER, call.previous_id)
        if call.symmetric and user not in self._named and previous in self._named:
            return replace(call, user_id=call.previous_id, previous_id=call.user_id)
        return call

    def refuse_alias(self, call: Call) -> None:
        """Raises Refused when an alias would join two known people."""
        if call.kind != "alias":
            return
        call = self._turn(call)
        holder, person = self._of(_previous(call, self._named)), self._of((USER, call.user_id))
        if holder is not None and holder is not person and holder.known:
            raise Refused("known_person", "previousId", "the previous id is a known person; two never become one here")


PROFILE = (("public_id", "uuid"), ("shard", "smallint"), ("bucket", "smallint"), ("no_profiling", "boolean"))


def names_of(call: Call) -> list[Name]:
    """Every name by which the call may find its person, strongest first; some with an empty value."""
    return [
        (USER, call.user_id), (ANONYMOUS, call.anonymous_id), (ANONYMOUS, call.previous_id),
        (USER, call.previous_id), (EMAIL, call.email), (PHONE, call.phone),
    ]  # fmt: skip


def all_names(calls: Iterable[Call]) -> set[Name]:
    """The names of many calls, without the empty ones."""
    found: set[Name] = set()
    for call in calls:
        if call.user_id:
            found.add((USER, call.user_id))
        if call.anonymous_id:
            found.add((ANONYMOUS, call.anonymous_id))
        if call.previous_id or call.email or call.phone:
            found.update(name for name in names_of(call) if name[1])
    return found


def read_names(names: Iterable[Name], span: Span | None = None) -> dict[Name, Person]:
    """The people who hold these names, in one query; names nobody holds are missing.

    With the times of the first and last call, people who were seen from before to after them come as `settled`.
    """
    rows = sorted({name for name in names if name[1]})
    if not rows:
        return {}
    source, params = given((("kind", "varchar"), ("value", "varchar")), rows)
    first, last = span or (None, None)
    with connection.cursor() as cursor:
        cursor.execute(_HOLDERS.format(given=source), [*params, _time(first), _time(last and last - SEEN_APART)])
        held = cursor.fetchall()
    people: dict[int, Person] = {}
    found: dict[Name, Person] = {}
    for kind, value, pk, shard, settled, known in held:
        person = people.get(pk)
        if person is None:
            person = people[pk] = Person(pk, shard, bool(known), bool(settled))
        found[kind, value] = person
    return found


def _time(at: datetime | None) -> datetime | str | None:
    """A parameter that stands for a time on either database."""
    return at if at is None or is_postgres() else plain(at)


# Scalar subqueries, so that names cost a look-up each, however many people there are (see _THERE in flush); and a
# kind that no index knows, lest all user ids be read to find one person's.
_HOLDERS = (
    "WITH named AS MATERIALIZED (SELECT given.kind, given.value, (SELECT i.profile_id FROM segments_identity i"
    " WHERE i.kind = given.kind AND i.value = given.value) AS profile_id FROM {given})"
    " SELECT named.kind, named.value, named.profile_id, p.shard, p.first_seen_at <= %s AND p.last_seen_at >= %s,"
    " named.kind = 'user_id' OR (SELECT u.id FROM segments_identity u WHERE u.profile_id = named.profile_id"
    " AND u.kind || '' = 'user_id' LIMIT 1) IS NOT NULL"
    " FROM named JOIN segments_profile p ON p.id = named.profile_id"
)


def _unproven(call: Call) -> list[Name]:
    """Names that an identify or alias call says are the same person."""
    names = [(ANONYMOUS, call.anonymous_id), (ANONYMOUS, call.previous_id), (EMAIL, call.email), (PHONE, call.phone)]
    return [name for name in names if name[1]]


def _previous(call: Call, named: dict[Name, Person]) -> Name:
    name = (ANONYMOUS, call.previous_id)
    return name if name in named else (USER, call.previous_id)


def _place() -> tuple[uuid.UUID, int, int]:
    """Public id, shard and bucket of a new person."""
    public_id = uuid.uuid4()
    return public_id, shard_of(public_id), bucket_of(public_id)


def _uuid(value: object) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))
