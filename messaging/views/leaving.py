"""Leaving: the unsubscribe page, one-click by POST (RFC 8058), and the page of topics. GET never acts."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import now as clock_now
from common.text import say
from messaging import tokens
from messaging.answers import Reached, conclude, raise_reached
from messaging.models import Address, Delivery, Topic
from messaging.permission import withdraw
from messaging.statements import EVERYTHING
from messaging.tokens import BadToken, Purpose
from messaging.views._request import ip_of, language_of, not_found, page, texts

ONE_CLICK = ("List-Unsubscribe", "One-Click")
METHODS = ["GET", "HEAD", "POST"]
LEAVE = {
    "title": ("Unsubscribe", "退订"),
    "lead": ("Stop sending “{topic}” to {address}?", "不再向 {address} 发送“{topic}”？"),
    "button": ("Unsubscribe", "确认退订"),
    "other": ("Choose by topic instead", "按主题选择"),
    "note": (
        "Messages about your orders and your account still reach you.",
        "与订单和账户有关的通知仍会发送给您。",
    ),
}
LEFT = {
    "title": ("You are unsubscribed", "已退订"),
    "lead": ("We will not send “{topic}” to {address} any more.", "我们不会再向 {address} 发送“{topic}”。"),
}
CHOOSE = {
    "title": ("Your preferences", "偏好设置"),
    "lead": ("What {address} receives from us.", "以下是我们发送到 {address} 的内容。"),
    "off": ("Stopped", "已停止"),
    "stop": ("Stop", "停止接收"),
    "all": ("Stop everything", "全部停止"),
    "all_note": (
        "Only messages about your orders and your account still reach you.",
        "此后仅会收到与订单和账户有关的通知。",
    ),
    "saved": ("Saved.", "已保存。"),
    "back": (
        "To receive a topic again, say so in your account or write to us: a link in a mail is not proof enough.",
        "如需恢复接收，请在账户中设置或联系我们：仅凭邮件中的链接不足以确认。",
    ),
}
ALL_TOPICS = ("everything but order and account messages", "除订单和账户通知外的全部内容")


@dataclass(frozen=True)
class Reader:
    """Who holds a token: the message it came with (if it is still there), the address, the language."""

    delivery: Delivery | None
    address: Address | None
    language: str

    @property
    def topic(self) -> str:
        return (self.delivery.topic if self.delivery else "") or EVERYTHING

    @property
    def shown(self) -> str:
        """The address, masked: who holds the token need not learn it."""
        if self.address is None:
            return say("you", "您", self.language)
        local, at, domain = self.address.value.rpartition("@")
        return f"{local[:1]}•••@{domain}" if at else f"•••{self.address.value[-3:]}"


@csrf_exempt
@require_http_methods(METHODS)
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """The confirm page; a POST by its form or by a mail program's one click leaves that topic, and no other."""
    try:
        reader = _reader(request, Purpose.UNSUBSCRIBE, token)
    except BadToken:
        return not_found(request)
    topic = _topic_name(reader.topic, reader.language)
    said = {"topic": topic, "address": reader.shown}
    if request.method == "POST":
        one_click = request.POST.get(ONE_CLICK[0]) == ONE_CLICK[1]
        if one_click or request.POST.get("confirm") == "yes":
            _leave(request, reader, reader.topic, "one-click" if one_click else "unsubscribe page")
            return page("notice", language=reader.language, say=texts(LEFT, reader.language, **said))
    other = tokens.make(Purpose.PREFERENCES, *_ids(reader)) if reader.delivery else ""
    return page("unsubscribe", language=reader.language, say=texts(LEAVE, reader.language, **said), other=other)


@csrf_exempt
@require_http_methods(METHODS)
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """The topics of an address, each with a button to stop it; a POST stops the one it names."""
    try:
        reader = _reader(request, Purpose.PREFERENCES, token)
    except BadToken:
        return not_found(request)
    topics = list(Topic.objects.exclude(purpose="transactional").order_by("key"))
    wanted = request.POST.get("topic", "") if request.method == "POST" else ""
    saved = wanted in {EVERYTHING, *(topic.key for topic in topics)}
    if saved:
        _leave(request, reader, wanted, "preferences page")
        reader = _reader(request, Purpose.PREFERENCES, token)
    chinese = reader.language == "zh-hans"
    rows = [
        {
            "key": topic.key,
            "name": _named(topic, reader.language),
            "about": (topic.description_zh if chinese else "") or topic.description,
            "on": is_on(topic, reader.address),
        }
        for topic in topics
    ]
    said = texts(CHOOSE, reader.language, address=reader.shown)
    return page("preferences", language=reader.language, say=said, topics=rows, saved=saved, everything=EVERYTHING)


def is_on(topic: Topic, address: Address | None) -> bool:
    """Whether the address may get this topic, as the consent gate reads it."""
    if address is None:
        return False
    refused = topic.key in address.refusals or (EVERYTHING in address.refusals and topic.key not in address.consents)
    given = topic.key in address.consents or EVERYTHING in address.consents
    return not refused and (given or not topic.opt_in or topic.purpose != "marketing")


def _reader(request: HttpRequest, purpose: Purpose, token: str) -> Reader:
    named = tokens.read(purpose, token)
    rows = Delivery.objects.select_related("profile").defer("context", "profile__traits")
    delivery = rows.filter(pk=named.delivery).first()
    address = Address.objects.filter(pk=named.address).first()
    locale = delivery.profile.locale if delivery else ""
    return Reader(delivery, address, language_of(request, locale))


def _leave(request: HttpRequest, reader: Reader, topic: str, source: str) -> None:
    """Withdraw once; the same again changes nothing."""
    if reader.address is None:
        return
    if not is_refused(reader.address, topic):
        evidence = {
            "ip": ip_of(request) or "",
            "user_agent": request.META.get("HTTP_USER_AGENT", "")[:400],
            "by": source,
        }
        ref = str(reader.delivery.public_id) if reader.delivery else ""
        withdraw(reader.address.pk, topic, now=clock_now(), source=source, evidence=evidence, delivery=ref)
    if reader.delivery:
        conclude(reader.delivery.pk, "accepted", "unsubscribed from", now=clock_now())
        raise_reached(reader.delivery.pk, Reached.UNSUBSCRIBED)


def is_refused(address: Address, topic: str) -> bool:
    """Whether the address has said no to this topic already."""
    if topic in address.refusals:
        return topic != EVERYTHING or not address.consents
    return False


def _ids(reader: Reader) -> tuple[int, int]:
    return (reader.delivery.pk if reader.delivery else 0), (reader.address.pk if reader.address else 0)


def _topic_name(key: str, language: str) -> str:
    if key == EVERYTHING:
        return say(*ALL_TOPICS, language)
    topic = Topic.objects.filter(key=key).first()
    return _named(topic, language) if topic else key


def _named(topic: Topic, language: str) -> str:
    return (topic.name_zh if language == "zh-hans" else "") or topic.name
