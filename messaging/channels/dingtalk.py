"""DingTalk custom robot: signed messages into one group; at most 20 a minute, or ten minutes of silence.

https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from messaging.channels import Channel, Connection, Outgoing, Sender, _robots, channels

HOST = "https://oapi.dingtalk.com"
LIMITS = {"text": 20_000, "markdown": 20_000}
SECURITY = 310000  # one number for missing keyword, wrong signature, old time stamp and foreign address


@dataclass(frozen=True)
class DingTalkCodes(_robots.Codes):
    """The text decides where the number does not: a missing keyword is this message's fault, a signature is not."""

    def judge(self, said: Mapping[str, Any], number: int) -> _robots.Kind:
        text = str(said.get(self.text) or "").lower()
        if number and "too fast" in text:
            return _robots.Kind.THROTTLED
        if number == SECURITY:
            return _robots.Kind.REFUSED if "keyword" in text else _robots.Kind.ACCOUNT
        return super().judge(said, number)


CODES = DingTalkCodes(
    throttled=frozenset({130101, 410100}), account=frozenset({300005, 400013, 400101, 400102, 400105})
)


@channels.register("dingtalk")
class DingTalkChannel(Channel):
    """The token is the address: a message of any person goes into the one group."""

    key: ClassVar[str] = "dingtalk"
    parts: ClassVar[tuple[str, ...]] = ("title", "text", "markdown")
    medium: ClassVar[str] = "social"
    needs_address: ClassVar[bool] = False
    transports: ClassVar[tuple[str, ...]] = ("http",)

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    def check(self, message: Outgoing) -> str:
        untitled = message.parts.get("markdown", "").strip() and not message.parts.get("title", "").strip()
        return "markdown needs a title" if untitled else _robots.too_long(message.parts, LIMITS)

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        token, secret = _robots.setting(sender, "token"), _robots.setting(sender, "secret")
        _robots.fail_if_refused(sender)
        base = f"{_robots.base_of(sender, HOST)}/robot/send"

        def post(message: Outgoing) -> _robots.Reply:
            if message.at is None:
                return _robots.UNDATED
            stamp = str(int(message.at.timestamp() * 1000))
            sign = _robots.mac(secret, f"{stamp}\n{secret}")
            query = urlencode({"access_token": token, "timestamp": stamp, "sign": sign})
            return _robots.ask(f"{base}?{query}", content(message.parts), CODES)

        yield _robots.Line(sender, post, wait=timedelta(minutes=10))


def content(parts: Mapping[str, str]) -> dict[str, Any]:
    """Markdown when there is some, else text."""
    if parts.get("markdown", "").strip():
        return {"msgtype": "markdown", "markdown": {"title": parts.get("title", ""), "text": parts["markdown"]}}
    return {"msgtype": "text", "text": {"content": parts["text"]}}
