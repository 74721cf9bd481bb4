"""WeCom group robot: one message into the group that owns the key; at most 20 a minute (the account's rate).

https://developer.work.weixin.qq.com/document/path/91770
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import quote

from messaging.channels import Channel, Connection, Limit, Outgoing, Sender, _http, _robots, channels

HOST = "https://qyapi.weixin.qq.com"
LIMITS = {"text": 2048, "markdown": 4096}
CODES = _robots.Codes(throttled=frozenset({45009, 45033}), account=frozenset({93000, 93004, 93008, 60020}))


@channels.register("wecom_robot")
class WecomRobotChannel(Channel):
    """The key is the address: a message of any person goes into the one group."""

    key: ClassVar[str] = "wecom_robot"
    parts: ClassVar[tuple[str, ...]] = ("text", "markdown")
    medium: ClassVar[str] = "social"
    needs_address: ClassVar[bool] = False
    transports: ClassVar[tuple[str, ...]] = ("http",)
    limits: ClassVar[tuple[Limit, ...]] = tuple(Limit(part, most) for part, most in LIMITS.items())
    a_minute: ClassVar[int | None] = 20

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    def check(self, message: Outgoing) -> str:
        return _robots.too_long(message.parts, LIMITS)

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        key = _http.setting(sender, "key")
        _http.fail_if_refused(sender)
        url = f"{_http.base_of(sender, HOST)}/cgi-bin/webhook/send?key={quote(key, safe='')}"

        def post(message: Outgoing) -> _http.Verdict:
            return _robots.ask(url, content(message.parts), CODES, message.at)

        yield _http.Line(sender, post)


def content(parts: Mapping[str, str]) -> dict[str, Any]:
    """Markdown when there is some, else text."""
    kind = "markdown" if parts.get("markdown", "").strip() else "text"
    return {"msgtype": kind, kind: {"content": parts[kind]}}
