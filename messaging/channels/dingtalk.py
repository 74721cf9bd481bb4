"""DingTalk custom robot: signed messages into one group; at most 20 a minute, or ten minutes of silence.

https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from messaging.channels import Channel, Connection, Limit, Outgoing, Sender, _http, _robots, channels

HOST = "https://oapi.dingtalk.com"
LIMITS = {"text": 20_000, "markdown": 20_000}
SECURITY = 310000  # one number for missing keyword, wrong signature, old time stamp and foreign address


@dataclass(frozen=True)
class DingTalkCodes(_robots.Codes):
    """The text decides where the number does not: a missing keyword is this message's fault, a signature is not."""

    def judge(self, said: Mapping[str, Any], number: int, at: datetime | None) -> _http.Verdict:
        text = str(said.get(self.text) or "").lower()
        if number and ("too fast" in text or "over limit" in text):
            return self.later(f"errcode {number}", at)
        if number == SECURITY:
            return (_http.permanent if "keyword" in text else _http.refused)(f"errcode {number}")
        return super().judge(said, number, at)


CODES = DingTalkCodes(
    throttled=frozenset({90030, 130101, 410100}),
    account=frozenset({300005, 400013, 400101, 400102, 400105}),
    wait=timedelta(minutes=10),
)


@channels.register("dingtalk")
class DingTalkChannel(Channel):
    """The token is the address: a message of any person goes into the one group."""

    key: ClassVar[str] = "dingtalk"
    parts: ClassVar[tuple[str, ...]] = ("title", "text", "markdown")
    medium: ClassVar[str] = "social"
    needs_address: ClassVar[bool] = False
    transports: ClassVar[tuple[str, ...]] = ("http",)
    limits: ClassVar[tuple[Limit, ...]] = tuple(Limit(part, most) for part, most in LIMITS.items())
    a_minute: ClassVar[int | None] = 20

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    def check(self, message: Outgoing) -> str:
        untitled = message.parts.get("markdown", "").strip() and not message.parts.get("title", "").strip()
        return "markdown needs a title" if untitled else _robots.too_long(message.parts, LIMITS)

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        token, secret = _http.setting(sender, "token"), _http.setting(sender, "secret")
        _http.fail_if_refused(sender)
        base = f"{_http.base_of(sender, HOST)}/robot/send"

        def post(message: Outgoing) -> _http.Verdict:
            if message.at is None:
                return _http.UNDATED
            stamp = str(int(message.at.timestamp() * 1000))
            sign = _robots.mac(secret, f"{stamp}\n{secret}")
            query = urlencode({"access_token": token, "timestamp": stamp, "sign": sign})
            return _robots.ask(f"{base}?{query}", content(message.parts), CODES, message.at)

        yield _http.Line(sender, post)


def content(parts: Mapping[str, str]) -> dict[str, Any]:
    """Markdown when there is some, else text."""
    if parts.get("markdown", "").strip():
        return {"msgtype": "markdown", "markdown": {"title": parts.get("title", ""), "text": parts["markdown"]}}
    return {"msgtype": "text", "text": {"content": parts["text"]}}
