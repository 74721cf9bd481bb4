"""The inbox for the recipient's own app: JSON by a signed token, and a page of plain HTML that an app may frame."""

from __future__ import annotations

from uuid import UUID

import nh3
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import now as clock_now
from common.periods import zone
from messaging import inbox, tokens
from messaging.tokens import BadToken
from messaging.views._app import error, invalid, person_of, preflight, refused, to_any_page
from messaging.views._request import language_of, not_found, page, private, texts
from segments.models import Profile

PAGE = 50
SHOWN = 20  # messages on one page of HTML
ACTS = {"read": inbox.mark_read, "archive": inbox.archive, "restore": inbox.restore}
INBOX = {
    "title": ("Messages", "消息"),
    "unread": ("{unread} unread", "{unread} 条未读"),
    "none": ("There is nothing here yet.", "暂无消息。"),
    "none_away": ("Nothing was put away.", "没有已归档的消息。"),
    "new": ("New", "新"),
    "until": ("Until", "有效期至"),
    "read": ("Mark as read", "标为已读"),
    "read_all": ("Mark all as read", "全部标为已读"),
    "archive": ("Put away", "归档"),
    "restore": ("Take back", "移回"),
    "away": ("Put away", "已归档"),
    "back": ("All messages", "全部消息"),
    "older": ("Older messages", "更早的消息"),
}


@csrf_exempt
@require_http_methods(["GET", "OPTIONS"])
def messages(request: HttpRequest) -> HttpResponse:
    """The person's latest messages, newest first; `?before=` the id of the last one seen goes on, `?archived=1` lists
    what was put away."""
    if request.method == "OPTIONS":
        return preflight()
    profile = person_of(request)
    if profile is None:
        return refused()
    now = clock_now()
    try:
        rows = inbox.inbox_of(profile, now, archived=request.GET.get("archived") == "1")
        listed, more = inbox.page_of(rows, size=PAGE, before=_before(request.GET))
    except (LookupError, ValueError):
        return invalid("There is no such message.", "before")
    shown = [
        {
            "id": str(item.public_id),
            "sent_at": item.sent_at,
            "read_at": item.read_at,
            "archived_at": item.archived_at,
            "expires_at": item.expires_at,
            "title": item.title,
            "body": item.body,
        }
        for item in inbox.show(listed)
    ]
    said = {"messages": shown, "unread": inbox.unread(profile, now), "before": str(more) if more else None}
    return to_any_page(JsonResponse(said))


@csrf_exempt
@require_http_methods(["GET", "OPTIONS"])
def count(request: HttpRequest) -> HttpResponse:
    """How many messages the person has not read: for a badge, without rendering any."""
    if request.method == "OPTIONS":
        return preflight()
    profile = person_of(request)
    if profile is None:
        return refused()
    return to_any_page(JsonResponse({"unread": inbox.unread(profile, clock_now())}))


@csrf_exempt
@require_http_methods(["POST", "OPTIONS"])
def act(request: HttpRequest, public_id: UUID, verb: str) -> HttpResponse:
    """Mark one message read (the first time counts), put it away, or take it back."""
    if request.method == "OPTIONS":
        return preflight()
    profile = person_of(request)
    if profile is None:
        return refused()
    if not ACTS[verb](profile, public_id, clock_now()):
        return error(404, "client_error", "not_found", "There is no such message.")
    return to_any_page(JsonResponse({verb: True}))


@csrf_exempt
@require_http_methods(["POST", "OPTIONS"])
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark everything read."""
    if request.method == "OPTIONS":
        return preflight()
    profile = person_of(request)
    if profile is None:
        return refused()
    return to_any_page(JsonResponse({"read": inbox.mark_all_read(profile, clock_now())}))


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def listed(request: HttpRequest, token: str) -> HttpResponse:
    """The same as a page without scripts, in the person's language. Only its buttons act."""
    now = clock_now()
    try:
        profile = tokens.read_inbox_token(token, now=now)
    except BadToken:
        return not_found(request)
    person = Profile.objects.filter(pk=profile, erased_at=None).only("locale", "timezone").first()
    if person is None:
        return not_found(request)
    if request.method == "POST":
        return _acted(request, profile, token)
    try:
        archived = request.GET.get("archived") == "1"
        rows, more = inbox.page_of(
            inbox.inbox_of(profile, now, archived=archived), size=SHOWN, before=_before(request.GET)
        )
    except (LookupError, ValueError):
        return not_found(request)
    language = language_of(request, person.locale)
    unread = inbox.unread(profile, now)
    items = [{"item": item, "body": clean(item.body)} for item in inbox.show(rows)]
    said = texts(INBOX, language, unread=unread)
    with timezone.override(zone(person.timezone)):
        shown = page(
            "inbox", language=language, say=said, items=items, archived=archived, unread=unread, more=more,
            here=reverse("messaging:inbox-page", args=[token]),
        )  # fmt: skip
    return _framed(shown)


def _acted(request: HttpRequest, profile: int, token: str) -> HttpResponse:
    """Do what a button says, and show the list again. What is not there any more is no error."""
    verb = request.POST.get("act", "")
    if verb == "read_all":
        inbox.mark_all_read(profile, clock_now())
    elif verb in ACTS:
        try:
            ACTS[verb](profile, UUID(request.POST.get("message", "")), clock_now())
        except ValueError:
            return not_found(request)
    where = reverse("messaging:inbox-page", args=[token])
    return private(HttpResponseRedirect(f"{where}?archived=1" if verb == "restore" else where, status=303))


def clean(body: str) -> str:
    """A message's HTML as it may stand in a page of ours: no form, no style, and links open outside of the frame."""
    return nh3.clean(body, set_tag_attribute_values={"a": {"target": "_blank"}})


def _framed(response: HttpResponse) -> HttpResponse:
    """The pages that may frame the inbox (INBOX_FRAMES), and its pictures; scripts there are none."""
    frames = " ".join(settings.INBOX_FRAMES) or "'none'"
    policy = response["Content-Security-Policy"].replace("frame-ancestors 'none'", f"frame-ancestors {frames}")
    response["Content-Security-Policy"] = f"{policy}; img-src https: data:"
    if settings.INBOX_FRAMES:
        response.xframe_options_exempt = True
    return response


def _before(asked: QueryDict) -> UUID | None:
    before = asked.get("before", "")
    return UUID(before) if before else None
