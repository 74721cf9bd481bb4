"""The doors for facts over HTTP: the Segment spec under /v1/ and PostHog's form at /batch/, for their stock clients.

Plain views, since most of the traffic comes here. Wrong rows are told one by one with status 200, as the clients
take nothing else; only a request that cannot be read or believed gets another status.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from common.clock import now as clock
from common.models import ApiKey
from common.models.keys import hash_key
from common.rates import take
from segments.ingest import RowResult, ingest
from segments.ingest.body import Poison, calls_of, read_json, unpack
from segments.ingest.limits import BODY_BYTES, ITEMS, BadBody
from segments.models import Source

SCOPE = "ingest"
USED_EVERY = timedelta(minutes=1)
BODY_KEYS = ("api_key", "writeKey", "token")
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
    "Access-Control-Expose-Headers": "Retry-After",
    "Access-Control-Max-Age": "86400",
}
Door = Callable[[HttpRequest, str], HttpResponse]


class TooMany(Exception):
    """The source has no call left in this minute; nothing was taken, and all may come again after `seconds`."""

    def __init__(self, a_minute: int, wait: timedelta) -> None:
        super().__init__(f"{a_minute} calls a minute")
        self.a_minute, self.seconds = a_minute, max(1, ceil(wait.total_seconds()))


def door(view: Door) -> Door:
    """Answer what is not a POST, and turn unreadable requests into their JSON answer."""

    def answer(request: HttpRequest, kind: str) -> HttpResponse:
        if request.method == "OPTIONS":
            response = HttpResponse(status=204)
        elif request.method != "POST":
            response = problem(405, "method", "send a POST")
            response["Allow"] = "POST, OPTIONS"
        else:
            try:
                response = view(request, kind)
            except BadBody as bad:
                response = problem(bad.status, bad.code, bad.message)
            except TooMany as many:
                response = problem(429, "too_many_calls", f"this source takes {many.a_minute} calls a minute")
                response["Retry-After"] = str(many.seconds)
            except UnreadablePostError:
                response = problem(400, "cut_short", "the body did not arrive")
        for name, value in CORS.items():
            response[name] = value
        return response

    return csrf_exempt(answer)


def _single(request: HttpRequest, kind: str) -> HttpResponse:
    """One call; its type is the address's."""
    raw = read_body(request)
    call = read_json(raw)
    now = clock()
    source = authenticate(request, call, now=now)
    if source is None:
        return unauthorised()
    if not isinstance(call, Mapping):
        code = call.code if isinstance(call, Poison) else "not_an_object"
        raise BadBody(400, code, "a call is a JSON object, each key once")
    slow_down(source, 1, now=now)
    sent_at = call.get("sentAt", call.get("sent_at"))
    call = {**{name: value for name, value in call.items() if name not in BODY_KEYS}, "type": kind}
    return told(ingest([call], source=source, now=now, sent_at=sent_at, size=len(raw)))


def _batch(request: HttpRequest, kind: str) -> HttpResponse:
    """Up to 500 calls; /v1/import takes them as history."""
    raw = read_body(request)
    body = read_json(raw)
    now = clock()
    source = authenticate(request, body, now=now)
    if source is None:
        return unauthorised()
    calls = calls_of(body)
    if len(calls) > ITEMS:
        raise BadBody(413, "too_many_items", f"a batch may have {ITEMS} items")
    slow_down(source, len(calls), now=now)
    historical = kind == "import" or body.get("historical_migration") is True
    context = body.get("context")
    if isinstance(context, Mapping) and context:
        calls = [_with_context(call, context) for call in calls]
    sent_at = body.get("sentAt", body.get("sent_at"))
    return told(ingest(calls, source=source, now=now, historical=historical, sent_at=sent_at, size=len(raw)))


single = door(_single)
batch = door(_batch)


def read_body(request: HttpRequest) -> bytes:
    """The unpacked body. Raises BadBody for one that is too large, before or after unpacking."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > BODY_BYTES:
        raise BadBody(413, "too_large", f"the body is larger than {BODY_BYTES} bytes")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise BadBody(415, "bad_encoding", "send gzip or nothing as Content-Encoding")
    return unpack(request.read(BODY_BYTES + 1))


def authenticate(request: HttpRequest, body: Any, *, now: datetime) -> Source | None:
    """The source of the write key in the Basic header (as user name), else in the body; never from the address."""
    secret = _basic(request.headers.get("Authorization", "")) or _in_body(body)
    if not secret:
        return None
    key = ApiKey.objects.filter(digest=hash_key(secret)).first()
    if key is None or not key.is_usable(now) or not key.allows(SCOPE) or not key.subject.startswith("source:"):
        return None
    if key.last_used_at is None or key.last_used_at < now - USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return Source.objects.filter(key=key.subject.removeprefix("source:"), kind=Source.Kind.HTTP).first()


def slow_down(source: Source, count: int, *, now: datetime) -> None:
    """Let so many calls pass at the source's rate, if it has one. Raises TooMany."""
    if source.calls_a_minute is None or not count:
        return
    row = Source.objects.filter(pk=source.pk)
    wait = take(row, "filled_until", count=count, a_minute=source.calls_a_minute, now=now)
    if wait:
        raise TooMany(source.calls_a_minute, wait)


def problem(status: int, code: str, message: str) -> JsonResponse:
    """A refused request, in words that all six stock clients can print."""
    return JsonResponse({"success": False, "code": code, "message": message, "detail": message}, status=status)


def unauthorised() -> JsonResponse:
    response = problem(401, "unauthorised", "the write key is missing, wrong, revoked or not for ingest")
    response["WWW-Authenticate"] = 'Basic realm="ingest"'
    return response


def told(results: list[RowResult]) -> JsonResponse:
    """The answer to a request that was read: counts, and an entry for each row that was refused."""
    errors = [
        {"index": row.index, "code": row.code, "path": row.path, "message": row.message}
        for row in results
        if not row.ok
    ]
    stored = sum(row.status == "stored" for row in results)
    known = len(results) - stored - len(errors)
    return JsonResponse({"success": True, "stored": stored, "known": known, "errors": errors})


def _basic(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _in_body(body: Any) -> str:
    if not isinstance(body, Mapping):
        return ""
    found = next((body[name] for name in BODY_KEYS if isinstance(body.get(name), str)), "")
    return str(found)[:200].encode("utf-8", "replace").decode()


def _with_context(call: Any, context: Mapping[str, Any]) -> Any:
    """The call with the envelope's context beneath its own."""
    if not isinstance(call, Mapping):
        return call
    own = call.get("context")
    return {**call, "context": {**context, **(own or {})}} if own is None or isinstance(own, Mapping) else call
