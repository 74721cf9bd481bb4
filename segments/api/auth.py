"""Who asks: a program with a key in its header, or a member of staff who only looks.

Every address of the API names the scope it takes (`ApiView.scope`); one that names none is closed to all.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractBaseUser
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from common import clock
from common.models import ApiKey
from common.models.keys import hash_key
from common.scopes import SCOPES

if TYPE_CHECKING:
    from rest_framework.views import APIView

USED_EVERY = timedelta(minutes=1)
PREFIX = 11
NOBODY = "0" * 64


class Program:
    """The caller behind a key; not a user of ours, so it has no rights but the key's scopes."""

    is_authenticated = True
    is_active = True
    is_staff = False
    pk = None

    def __init__(self, key: ApiKey) -> None:
        self.key = key

    def __str__(self) -> str:
        return str(self.key)


class KeyThrottle(SimpleRateThrottle):
    """So many requests per key, or per person in the browser."""

    scope = "api"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        ident = f"key{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"user{request.user.pk}"
        return self.cache_format % {"scope": self.scope, "ident": ident}


class WrongKeyThrottle(SimpleRateThrottle):
    """So many wrong keys per address, before the answer is 429."""

    scope = "api_wrong_key"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`. Found by its prefix, compared in constant time; never read from the address."""

    def authenticate(self, request: Request) -> tuple[Program, ApiKey] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        now = clock.now()
        key = find_key(secret.strip(), now=now)
        if key is None:
            throttle = WrongKeyThrottle()
            if not throttle.allow_request(request, None):  # type: ignore[arg-type]
                raise Throttled(throttle.wait())
            raise AuthenticationFailed("The key is wrong, revoked or expired.")
        note_use(key, now=now)
        return Program(key), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def find_key(secret: str, *, now: datetime) -> ApiKey | None:
    """The usable key with this secret; the comparison takes as long whether the prefix is known or not."""
    digest = hash_key(secret.encode("utf-8", "replace").decode())
    prefix = secret[:PREFIX] if secret.isascii() and secret.isprintable() else ""
    key = ApiKey.objects.filter(prefix=prefix).first()
    same = hmac.compare_digest(key.digest if key else NOBODY, digest)
    return key if key is not None and same and key.is_usable(now) else None


def note_use(key: ApiKey, *, now: datetime) -> None:
    """Keep the last use, written at most once a minute."""
    if key.last_used_at is None or key.last_used_at < now - USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


class StaffSession(SessionAuthentication):
    """The browser session of a member of staff, to look only: whatever changes something takes a key."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, None] | None:
        user = getattr(request._request, "user", None)
        if request.method not in SAFE_METHODS or user is None or not user.is_active or not user.is_staff:
            return None
        return user, None


class HasScope(BasePermission):
    """A key needs the view's scope; a person needs the permission that belongs to the scope."""

    message = "This key or person may not do that."

    def has_permission(self, request: Request, view: APIView) -> bool:
        scope = getattr(view, "scope", "")
        if getattr(view, "public", False):
            return True
        if scope not in SCOPES:
            return False
        if isinstance(request.auth, ApiKey):
            return request.auth.allows(scope)
        permission = SCOPES[scope].permission
        return permission != "" and bool(request.user.has_perm(permission))
