"""The inbox for the recipient's own app: a signed token instead of a log-in, JSON, no cookies."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import now as clock_now
from messaging import inbox, tokens
from messaging.tokens import BadToken
from messaging.views._request import private

PAGE = 50


@csrf_exempt
@require_http_methods(["GET", "OPTIONS"])
def messages(request: HttpRequest) -> HttpResponse:
    """The person's latest messages, newest first; `?before=` the id of the last one seen goes on."""
    if request.method == "OPTIONS":
        return _open(HttpResponse(status=204))
    profile = _person(request)
    if profile is None:
        return _refused()
    rows = inbox.inbox_of(profile, clock_now()).order_by("-id")
    before = request.GET.get("before", "")
    if before:
        last = _uuid(before)
        known = rows.filter(public_id=last).values_list("pk", flat=True).first() if last else None
        if known is None:
            return _error(400, "validation_error", "invalid", "There is no such message.", "before")
        rows = rows.filter(pk__lt=known)
    page = list(rows[: PAGE + 1])
    shown = [
        {
            "id": str(item.public_id),
            "sent_at": item.sent_at,
            "read_at": item.read_at,
            "title": item.title,
            "body": item.body,
        }
        for item in inbox.show(page[:PAGE])
    ]
    unread = inbox.inbox_of(profile, clock_now()).filter(inbox_read_at=None).count()
    more = str(page[PAGE - 1].public_id) if len(page) > PAGE else None
    return _open(JsonResponse({"messages": shown, "unread": unread, "before": more}))


@csrf_exempt
@require_http_methods(["POST", "OPTIONS"])
def read(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The person has read it; the first time counts."""
    if request.method == "OPTIONS":
        return _open(HttpResponse(status=204))
    profile = _person(request)
    if profile is None:
        return _refused()
    if not inbox.mark_read(profile, public_id, clock_now()):
        return _error(404, "client_error", "not_found", "There is no such message.")
    return _open(JsonResponse({"read": True}))


def _person(request: HttpRequest) -> int | None:
    kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "bearer":
        return None
    try:
        return tokens.read_inbox_token(token.strip(), now=clock_now())
    except BadToken:
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _refused() -> HttpResponse:
    response = _error(401, "client_error", "authentication_failed", "A valid inbox token is needed.")
    response["WWW-Authenticate"] = "Bearer"
    return response


def _error(status: int, kind: str, code: str, detail: str, attr: str | None = None) -> HttpResponse:
    """The one error format of all our APIs."""
    errors = [{"code": code, "detail": detail, "attr": attr}]
    return _open(JsonResponse({"type": kind, "errors": errors}, status=status))


def _open(response: HttpResponse) -> HttpResponse:
    """Any page may ask: what proves the person is the token, never a cookie."""
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Headers"] = "Authorization"
    response["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
    return private(response)
