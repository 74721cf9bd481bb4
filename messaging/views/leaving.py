"""Leaving: the unsubscribe page, and one-click by POST (RFC 8058). GET never acts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import now as clock_now
from messaging.answers import Reached, conclude, raise_reached
from messaging.models import Consent
from messaging.permission import withdraw
from messaging.tokens import BadToken, Purpose
from messaging.views._reader import Reader, is_refused, reader_of, topic_name
from messaging.views._request import not_found, page, proof_of, texts

ONE_CLICK = ("List-Unsubscribe", "One-Click")
METHODS = ["GET", "HEAD", "POST"]
LEAVE = {
    "title": ("Unsubscribe", "退订"),
    "lead": ("Stop sending “{topic}” to {address}?", "不再向 {address} 发送“{topic}”？"),
    "button": ("Unsubscribe", "确认退订"),
    "other": ("Choose by topic, or get less", "按主题选择，或减少频率"),
    "note": (
        "Messages about your orders and your account still reach you.",
        "与订单和账户有关的通知仍会发送给您。",
    ),
}
LEFT = {
    "title": ("You are unsubscribed", "已退订"),
    "lead": ("We will not send “{topic}” to {address} any more.", "我们不会再向 {address} 发送“{topic}”。"),
    "undo": ("Undo", "撤销"),
    "other": ("More preferences", "更多偏好设置"),
}


@csrf_exempt
@require_http_methods(METHODS)
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """The confirm page; a POST by its form or by a mail program's one click leaves that topic, and no other."""
    try:
        reader = reader_of(request, Purpose.UNSUBSCRIBE, token)
    except BadToken:
        return not_found(request)
    said = {"topic": topic_name(reader.topic, reader.language), "address": reader.shown}
    other = reader.preferences
    if request.method == "POST":
        one_click = request.POST.get(ONE_CLICK[0]) == ONE_CLICK[1]
        if one_click or request.POST.get("confirm") == "yes":
            undo = leave(request, reader, reader.topic, "one-click" if one_click else "unsubscribe page")
            words = texts(LEFT, reader.language, **said)
            return page("left", language=reader.language, say=words, other=other, undo=undo)
    return page("unsubscribe", language=reader.language, say=texts(LEAVE, reader.language, **said), other=other)


def leave(request: HttpRequest, reader: Reader, topic: str, source: str) -> int | None:
    """Withdraw once; the same again changes nothing. Returns the statement, which may be undone for an hour."""
    if reader.address is None:
        return None
    said: Consent | None = None
    if not is_refused(reader.address, topic):
        proof = proof_of(request, source, delivery=reader.ref)
        said = withdraw(reader.address.pk, topic, now=clock_now(), source=source, evidence=proof, delivery=reader.ref)
    if reader.delivery:
        conclude(reader.delivery.pk, "accepted", "unsubscribed from", now=clock_now())
        raise_reached(reader.delivery.pk, Reached.UNSUBSCRIBED)
    return said.pk if said else None
