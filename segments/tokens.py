"""Signed tokens by which a person's own app reads where the person stands: for one person, for 30 days, to read only.

The form is that of django.core.signing.Signer with a salt of its own, so SECRET_KEY_FALLBACKS rotates the keys and no
token of another purpose is taken.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.signing import BadSignature, Signer

from segments.models import Profile
from segments.unmerge import root_of

LIFE = timedelta(days=30)
LONGEST = 200
SALT = "segments.standing"


class BadToken(Exception):
    """Not a token of ours, too old, or of somebody who is not there any more."""


def standing_token(profile: int, *, now: datetime) -> str:
    """A token that names the person by number and the moment, never by address."""
    return Signer(sep=".", salt=SALT).sign(f"{profile:x}-{int(now.timestamp()):x}")


def person_of_token(token: str, *, now: datetime) -> Profile:
    """The living person whom the token names, also after a merge. Raises BadToken."""
    if len(token) > LONGEST or not token.isascii():
        raise BadToken
    try:
        body = Signer(sep=".", salt=SALT).unsign(token)
        profile, issued = (int(part, 16) for part in body.split("-"))
        if not 0 <= now.timestamp() - issued <= LIFE.total_seconds():
            raise BadToken
        found = Profile.objects.filter(pk=root_of(profile), erased_at=None).first()
    except (BadSignature, ValueError, Profile.DoesNotExist):
        raise BadToken from None
    if found is None:
        raise BadToken
    return found
