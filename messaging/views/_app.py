"""What the recipient's own app asks: a signed token instead of a log-in, JSON, no cookies, from any page."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from common.clock import now as clock_now
from messaging import tokens
from messaging.tokens import BadToken
from messaging.views._request import private

LARGEST = 16 * 1024
METHODS = "GET, POST, DELETE, OPTIONS"


def person_of(request: HttpRequest) -> int | None:
    """The profile that the bearer token names; None without a good one."""
    kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "bearer":
        return None
    try:
        return tokens.read_inbox_token(token.strip(), now=clock_now())
    except BadToken:
        return None


def body_of(request: HttpRequest) -> dict[str, Any] | None:
    """The JSON object that was sent; None for anything else, or too much of it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > LARGEST:
        return None
    try:
        said = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def refused() -> HttpResponse:
    response = error(401, "client_error", "authentication_failed", "A valid inbox token is needed.")
    response["WWW-Authenticate"] = "Bearer"
    return response


def invalid(detail: str, attr: str) -> HttpResponse:
    return error(400, "validation_error", "invalid", detail, attr)


def error(status: int, kind: str, code: str, detail: str, attr: str | None = None) -> HttpResponse:
    """The one error format of all our APIs."""
    errors = [{"code": code, "detail": detail, "attr": attr}]
    return to_any_page(JsonResponse({"type": kind, "errors": errors}, status=status))


def to_any_page(response: HttpResponse) -> HttpResponse:
    """Any page may ask: what proves the person is the token, never a cookie."""
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
    response["Access-Control-Allow-Methods"] = METHODS
    return private(response)


def preflight() -> HttpResponse:
    return to_any_page(HttpResponse(status=204))
