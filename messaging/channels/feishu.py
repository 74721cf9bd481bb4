"""Feishu (Lark) custom robot: signed messages into one group; at most 100 a minute and 5 a second.

https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from messaging.channels import Channel, Connection, Limit, Outgoing, Sender, _http, _robots, channels

HOST = "https://open.feishu.cn"
BODY = 20 * 1024  # bytes of the whole request
SIGNATURE = 128  # bytes that time stamp and signature add to it
GATEWAY = 99991400  # the platform's own limit, with HTTP 429 or, of older interfaces, 400
BUSY = 9499  # says "too many request", but also "Bad Request" for a body it cannot read


@dataclass(frozen=True)
class FeishuCodes(_robots.Codes):
    def judge(self, said: Mapping[str, Any], number: int, at: datetime | None) -> _http.Verdict:
        if number == BUSY and "bad request" in str(said.get(self.text) or "").lower():
            return _http.permanent(f"code {number}")
        return super().judge(said, number, at)


CODES = FeishuCodes(
    names=("code", "StatusCode"),
    text="msg",
    throttled=frozenset({BUSY, 11232, GATEWAY}),
    account=frozenset({19001, 19007, 19021, 19022}),
    reset="x-ogw-ratelimit-reset",
)


@channels.register("feishu")
class FeishuChannel(Channel):
    """The hook's token is the address: a message of any person goes into the one group."""

    key: ClassVar[str] = "feishu"
    parts: ClassVar[tuple[str, ...]] = ("title", "text", "markdown")
    medium: ClassVar[str] = "social"
    needs_address: ClassVar[bool] = False
    transports: ClassVar[tuple[str, ...]] = ("http",)
    limits: ClassVar[tuple[Limit, ...]] = (Limit("", BODY),)
    a_minute: ClassVar[int | None] = 100

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    def check(self, message: Outgoing) -> str:
        wrong = _robots.too_long(message.parts, {})
        size = 0 if wrong else len(_robots.encoded(content(message.parts))) + SIGNATURE
        return f"the message has {size} bytes, the provider takes {BODY}" if size > BODY else wrong

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        token, secret = _http.setting(sender, "token"), _http.setting(sender, "secret")
        _http.fail_if_refused(sender)
        url = f"{_http.base_of(sender, HOST)}/open-apis/bot/v2/hook/{quote(token, safe='')}"

        def post(message: Outgoing) -> _http.Verdict:
            if message.at is None:
                return _http.UNDATED
            stamp = str(int(message.at.timestamp()))
            signed = {"timestamp": stamp, "sign": _robots.mac(f"{stamp}\n{secret}", "")}
            return _robots.ask(url, {**signed, **content(message.parts)}, CODES, message.at)

        yield _http.Line(sender, post)


def content(parts: Mapping[str, str]) -> dict[str, Any]:
    """A card when there is markdown, else text."""
    if not parts.get("markdown", "").strip():
        return {"msg_type": "text", "content": {"text": parts["text"]}}
    card: dict[str, Any] = {"elements": [{"tag": "markdown", "content": parts["markdown"]}]}
    if parts.get("title", "").strip():
        card["header"] = {"title": {"tag": "plain_text", "content": parts["title"]}}
    return {"msg_type": "interactive", "card": card}
