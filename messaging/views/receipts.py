"""Where providers report: the signature over the raw body comes first, then storing, then an answer."""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from common.clock import now as clock_now
from messaging.hearing import take_heard
from messaging.models import Account
from messaging.outbox.accounts import sender_of
from messaging.receipts import Call, Heard, Receiver, receivers
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
    call, now = _call(request), clock_now()
    row = Account.objects.filter(key=account, active=True).first()
    receiver = receivers.get(name) if row and (name := receiver_of(row)) in receivers else None
    if row is None or receiver is None or not receiver.verify(call, secrets_of(row), now):
        return _error(401, "authentication_failed", "The signature is not good.")
    try:
        said = list(receiver.read(call, now))
    except (ValueError, UnicodeError):
        return _error(400, "parse_error", "The body cannot be read.")
    heard = [one for one in said if isinstance(one, Heard)]
    taken = take_words([one for one in said if not isinstance(one, Heard)], provider=row.key, now=now)
    new = taken.new + take_heard(heard, provider=row.key, now=now)
    log.info("receipts account=%s words=%d new=%d applied=%d", row.key, len(said), new, taken.applied)
    return _good(receiver, len(said), new)


def receiver_of(account: Account) -> str:
    """The key of the account's receiver: as its settings say, else that of its transport, else our own form."""
    return str(
        account.settings.get("receiver") or (account.transport if account.transport in receivers else "standard")
    )


def secrets_of(account: Account) -> list[str]:
    """The account's secrets, several while one replaces another, separated by blanks or commas. Twilio signs with the
    token that it is called with, so there that one stands in."""
    settings_ = sender_of(account).settings
    value = str(settings_.get(SECRET, "") or (settings_.get("auth_token", "") if account.transport == "twilio" else ""))
    return value.replace(",", " ").split()


def _call(request: HttpRequest) -> Call:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(request.body, headers, f"{settings.PUBLIC_URL}{request.get_full_path()}")


def _good(receiver: Receiver, received: int, new: int) -> HttpResponse:
    if receiver.reply is not None:
        kind, body = receiver.reply
        return private(HttpResponse(body, content_type=kind))
    return private(JsonResponse({"received": received, "new": new}))


def _error(status: int, code: str, detail: str) -> HttpResponse:
    errors = [{"code": code, "detail": detail, "attr": None}]
    return private(JsonResponse({"type": "client_error", "errors": errors}, status=status))
