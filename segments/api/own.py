"""Who asks: a person's own app, by a signed token for that person, to read only."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from common import clock
from segments.api.auth import WrongKeyThrottle
from segments.models import Profile
from segments.tokens import BadToken, person_of_token


class PersonToken(BaseAuthentication):
    """`Authorization: Bearer <token>` of the person's own app; never read from the address."""

    def authenticate(self, request: Request) -> tuple[Any, Profile] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            return request._request.user, person_of_token(token.strip(), now=clock.now())
        except BadToken:
            throttle = WrongKeyThrottle()
            if not throttle.allow_request(request, None):  # type: ignore[arg-type]
                raise Throttled(throttle.wait()) from None
            raise AuthenticationFailed("The token is wrong or too old.") from None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="person"'


class HasToken(BasePermission):
    """A token of a person, and nothing else."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, Profile)


class PersonThrottle(SimpleRateThrottle):
    """So many requests per person."""

    scope = "person"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if not isinstance(request.auth, Profile):
            return None
        return self.cache_format % {"scope": self.scope, "ident": request.auth.pk}
