"""Where providers report: the signature over the raw body comes first, then storing, then an answer."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from common.clock import now as clock_now
from messaging.models import Account
from messaging.outbox.accounts import sender_of
from messaging.receipts import receivers
from messaging.views._request import private
from messaging.words import take_words

log = logging.getLogger(__name__)
LARGEST = 1024 * 1024
SECRET = "receipt_secrets"  # of the account's settings, as "receipt_secrets_env": the name of a variable


@csrf_exempt
@require_POST
def receive(request: HttpRequest, account: str) -> HttpResponse:
    """One account's webhook. 401 for whatever is wrong with key or signature, before anything is parsed."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > LARGEST:
        return _error(413, "too_large", "The body is longer than 1 MiB.")
    body, now = request.body, clock_now()
    row = Account.objects.filter(key=account, active=True).first()
    receiver = receivers.get(name) if row and (name := row.settings.get("receiver", "standard")) in receivers else None
    if row is None or receiver is None or not receiver.verify(body, _headers(request), secrets_of(row), now):
        return _error(401, "authentication_failed", "The signature is not good.")
    try:
        words = list(receiver.read(body, now))
    except (ValueError, UnicodeError):
        return _error(400, "parse_error", "The body cannot be read.")
    taken = take_words(words, provider=row.key, now=now)
    log.info("receipts account=%s words=%d new=%d applied=%d", row.key, len(words), taken.new, taken.applied)
    return private(JsonResponse({"received": len(words), "new": taken.new}))


def secrets_of(account: Account) -> list[str]:
    """The account's secrets, several while one replaces another, separated by blanks or commas."""
    value = str(sender_of(account).settings.get(SECRET, ""))
    return value.replace(",", " ").split()


def _headers(request: HttpRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _error(status: int, code: str, detail: str) -> HttpResponse:
    errors = [{"code": code, "detail": detail, "attr": None}]
    return private(JsonResponse({"type": "client_error", "errors": errors}, status=status))
