"""Devices for the recipient's own app: it registers the token that its push service gave it, and takes it back."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import now as clock_now
from messaging import devices
from messaging.channels.webpush import public_key
from messaging.models import Account, Topic
from messaging.outbox.accounts import sender_of
from messaging.permission import give_consent
from messaging.views._app import body_of, error, invalid, person_of, preflight, refused, to_any_page
from messaging.views._request import ip_of
from segments.models import Profile

LONGEST = 4096  # characters of a token
KEYS = ("p256dh", "auth")


@csrf_exempt
@require_http_methods(["GET", "POST", "DELETE", "OPTIONS"])
def mine(request: HttpRequest) -> HttpResponse:
    """GET the person's devices, POST this one, DELETE this one. POST may name topics that the person wants here."""
    if request.method == "OPTIONS":
        return preflight()
    profile = person_of(request)
    if profile is None:
        return refused()
    if request.method == "GET":
        return to_any_page(JsonResponse({"devices": devices.shown(profile)}))
    given = body_of(request)
    if given is None:
        return invalid("A JSON object of at most 16 KiB is needed.", "body")
    channel, (token, keys, wrong) = str(given.get("channel", "")), token_in(given)
    if wrong:
        return invalid(wrong, "token")
    if request.method == "DELETE":
        gone = devices.unregister(profile, channel, token, now=clock_now())
        if not gone:
            return error(404, "client_error", "not_found", "There is no such device.")
        return to_any_page(HttpResponse(status=204))
    return _register(request, profile, channel, token, keys, given.get("topics", []))


def _register(
    request: HttpRequest, profile: int, channel: str, token: str, keys: dict[str, str], topics: Any
) -> HttpResponse:
    person = Profile.objects.filter(pk=profile, erased_at=None).first()
    if person is None:
        return refused()
    wanted = _topics(topics)
    if wanted is None:
        return invalid("Topics are a list of keys of topics that there are.", "topics")
    now, agent = clock_now(), request.META.get("HTTP_USER_AGENT", "")
    label = agent.replace("\x00", "")[:200]
    try:
        device = devices.register(person, channel, token, keys=keys, label=label, now=now)
    except devices.NoDevices:
        return invalid("There is no such channel.", "channel")
    evidence = {"ip": ip_of(request) or "", "user_agent": label, "device": device.pk}
    for topic in wanted:
        give_consent(device.address_id, topic, now=now, source="device", evidence=evidence)
    return to_any_page(JsonResponse({"registered": True, "topics": wanted}, status=201))


@require_http_methods(["GET", "OPTIONS"])
def key(request: HttpRequest) -> HttpResponse:
    """What a browser needs to subscribe: the public key of the account that sends web push."""
    if request.method == "OPTIONS":
        return preflight()
    rows = Account.objects.filter(channel="webpush", active=True).order_by("-is_default", "pk")
    found = next((made for made in (public_key(sender_of(row)) for row in rows) if made), "")
    if not found:
        return error(404, "client_error", "not_found", "There is no account for web push.")
    return to_any_page(JsonResponse({"key": found}))


def token_in(given: dict[str, Any]) -> tuple[str, dict[str, str], str]:
    """The token and keys of a device, and what is wrong with them: `token`, or a browser's `subscription`."""
    if given.get("channel") == "webpush":
        return _subscription(given.get("subscription"))
    token = given.get("token")
    good = isinstance(token, str) and 0 < len(token) <= LONGEST and token.isascii() and token.isprintable()
    return (str(token), {}, "") if good else ("", {}, "A token is a text of at most 4096 printable characters.")


def _subscription(said: Any) -> tuple[str, dict[str, str], str]:
    endpoint, keys = (said.get("endpoint"), said.get("keys")) if isinstance(said, dict) else (None, None)
    if not isinstance(endpoint, str) or len(endpoint) > LONGEST or not _is_web(endpoint):
        return "", {}, "The endpoint of a subscription is an https address."
    found = {name: keys.get(name) if isinstance(keys, dict) else None for name in KEYS}
    if not all(isinstance(one, str) and 0 < len(one) < 200 and one.isascii() for one in found.values()):
        return "", {}, "A subscription has the keys p256dh and auth."
    return endpoint, {name: str(value) for name, value in found.items()}, ""


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    allowed = ("https", "http") if settings.OUTBOUND_HTTP else ("https",)
    return parts.scheme in allowed and bool(parts.hostname) and url.isascii() and url.isprintable() and " " not in url


def _topics(said: Any) -> list[str] | None:
    if not isinstance(said, list) or len(said) > 50 or not all(isinstance(one, str) for one in said):
        return None
    known = set(Topic.objects.filter(key__in=said).exclude(purpose="transactional").values_list("key", flat=True))
    return sorted(known) if known == set(said) else None
