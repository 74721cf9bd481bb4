"""Who holds a token of a recipient's page, and how topics, channels and addresses are called there."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from common.text import say
from messaging import tokens
from messaging.models import Address, Delivery, Topic
from messaging.statements import EVERYTHING
from messaging.tokens import Purpose
from messaging.views._request import language_of
from segments.models import Profile

ALL_TOPICS = ("everything but order and account messages", "除订单和账户通知外的全部内容")
CHANNELS = {
    "email": ("E-mail", "电子邮件"),
    "sms": ("Text message", "短信"),
    "push": ("Push", "推送通知"),
    "webpush": ("Browser notice", "浏览器通知"),
    "wecom": ("WeCom", "企业微信"),
    "inbox": ("Inbox", "站内信"),
}


@dataclass(frozen=True)
class Reader:
    """Who holds a token: the message it came with (if it is still there), the address, the person, the language."""

    delivery: Delivery | None
    address: Address | None
    profile: Profile | None
    language: str

    @property
    def topic(self) -> str:
        return (self.delivery.topic if self.delivery else "") or EVERYTHING

    @property
    def ref(self) -> str:
        """The message through which something is said, by its public id."""
        return str(self.delivery.public_id) if self.delivery else ""

    @property
    def shown(self) -> str:
        return masked(self.address, self.language)

    @property
    def preferences(self) -> str:
        """The token of this reader's page of preferences; "" when there is nothing to choose for."""
        if self.address is None:
            return ""
        return tokens.make(Purpose.PREFERENCES, self.delivery.pk if self.delivery else 0, self.address.pk)


def reader_of(request: HttpRequest, purpose: Purpose, token: str) -> Reader:
    """Read the token. Raises BadToken."""
    named = tokens.read(purpose, token)
    rows = Delivery.objects.select_related("profile").defer("context", "profile__traits")
    delivery = rows.filter(pk=named.delivery).first()
    address = Address.objects.select_related("profile").filter(pk=named.address).first()
    profile = delivery.profile if delivery else address.profile if address else None
    if profile is not None and profile.erased_at is not None:
        profile = None
    return Reader(delivery, address, profile, language_of(request, profile.locale if profile else ""))


def masked(address: Address | None, language: str) -> str:
    """An address as its owner knows it again: who holds the token need not learn it."""
    if address is None:
        return say("you", "您", language)
    local, at, domain = address.value.rpartition("@")
    return f"{local[:1]}•••@{domain}" if at else f"•••{address.value[-3:]}"


def channel_name(key: str, language: str) -> str:
    return say(*CHANNELS[key], language) if key in CHANNELS else key


def topic_name(key: str, language: str) -> str:
    if key == EVERYTHING:
        return say(*ALL_TOPICS, language)
    topic = Topic.objects.filter(key=key).first()
    return named(topic, language) if topic else key


def named(topic: Topic, language: str) -> str:
    return (topic.name_zh if language == "zh-hans" else "") or topic.name


def is_on(topic: Topic, address: Address | None) -> bool:
    """Whether the address may get this topic, as the consent gate reads it."""
    if address is None:
        return False
    refused = topic.key in address.refusals or (EVERYTHING in address.refusals and topic.key not in address.consents)
    given = topic.key in address.consents or EVERYTHING in address.consents
    return not refused and (given or not topic.opt_in or topic.purpose != "marketing")


def is_refused(address: Address, topic: str) -> bool:
    """Whether the address has said no to this topic already."""
    if topic in address.refusals:
        return topic != EVERYTHING or not address.consents
    return False
