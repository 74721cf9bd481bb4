"""Finding a person by any name, for those who do not come through ingest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from segments.bulk import update
from segments.ingest.call import Call
from segments.ingest.resolve import Contended, People, names_of
from segments.models import Identity, Profile

TRIES = 3


class NobodyFound(LookupError):
    """No profile answers to what was typed, or `several` do, named by their public ids."""

    def __init__(self, message: str, several: str = "") -> None:
        super().__init__(message)
        self.several = several


def find_person(text: str) -> Profile:
    """The one profile with this public id, "kind:value" of an identity, or any name. Raises NobodyFound.

    A profile that was merged or erased is found by its public id only.
    """
    said = text.strip().replace("\x00", "")
    found = list(_by_id(said) or _by_name(said))
    if len(found) == 1:
        return found[0]
    if not found:
        raise NobodyFound(f"nobody is known as '{said[:100]}'")
    several = ", ".join(sorted(str(one.public_id) for one in found))
    raise NobodyFound(f"several people are known as '{said[:100]}': {several}", several)


def _by_id(text: str) -> list[Profile]:
    try:
        return list(Profile.objects.filter(public_id=UUID(text)))
    except ValueError:
        return []


def _by_name(text: str) -> Iterable[Profile]:
    kind, _, value = text.partition(":")
    named = Q(kind=kind, value=value) if kind in Identity.Kind.values else Q(value=text) | Q(value=text.lower())
    ids = set(Identity.objects.filter(named).values_list("profile", flat=True)[:10])
    address = value if kind == "email" else text
    if not ids or "@" in address:
        alive = Profile.objects.filter(email=address.lower(), merged_into=None, erased_at=None).exclude(email="")
        ids |= set(alive.values_list("pk", flat=True)[:10])
    return Profile.objects.filter(pk__in=ids)


def find_or_create(
    *, now: datetime, user_id: str = "", anonymous_id: str = "", email: str = "", phone: str = ""
) -> Profile:
    """The profile of the strongest name given, made if missing. Raises ValueError without any name."""
    call = Call(0, "track", "", "", now, user_id=user_id, anonymous_id=anonymous_id, email=email, phone=phone)
    if not any(value for _, value in names_of(call)):
        raise ValueError("a person has at least one name")
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                people = People(names_of(call))
                person = people.resolve(call)
                people.write({}, now=now)
                return Profile.objects.get(pk=person.id)
        except Contended:
            continue
    raise Contended


def touch(profile_ids: Iterable[int], *, now: datetime) -> None:
    """Note that these people were seen now."""
    rows = [(pk, now) for pk in sorted(set(profile_ids))]
    if rows:
        update("segments_profile", (("id", "bigint"), ("last_seen_at", "timestamptz")), rows)
