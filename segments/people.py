"""Finding a person by any name, for those who do not come through ingest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from segments.bulk import update
from segments.ingest.call import Call
from segments.ingest.resolve import Contended, People, names_of
from segments.models import Profile

TRIES = 3


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
