"""Webhook: a JSON body to an address of another system, signed as Standard Webhooks.

The identifier is the delivery's and stays the same on every re-send, so that a receiver can tell a repetition.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from common import http
from messaging.channels import Channel, ChannelError, Connection, Limit, Outgoing, Sender, _http, channels
from messaging.channels._http import setting

MOST_BYTES = 256 * 1024


@channels.register("webhook")
class WebhookChannel(Channel):
    """The account's `url` is the address; whom a message is about stands in its body."""

    key: ClassVar[str] = "webhook"
    parts: ClassVar[tuple[str, ...]] = ("body",)
    needs_address: ClassVar[bool] = False
    transports: ClassVar[tuple[str, ...]] = ("http",)
    limits: ClassVar[tuple[Limit, ...]] = (Limit("body", MOST_BYTES),)

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    def check(self, message: Outgoing) -> str:
        body = message.parts.get("body", "")
        try:
            json.loads(body, parse_constant=_no_number, object_pairs_hook=_each_once)
        except (ValueError, RecursionError):
            return "the body is no JSON, or a name in it comes twice"
        size = len(body.encode("utf-8", "replace"))
        return f"the body has {size} bytes, at most {MOST_BYTES}" if size > MOST_BYTES else ""

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        url = setting(sender, "url")
        keys = _keys(setting(sender, "secret"))
        _http.fail_if_refused(sender)

        def post(message: Outgoing) -> _http.Verdict:
            at = message.at
            if at is None:
                return _http.UNDATED
            body = message.parts.get("body", "").encode("utf-8", "replace")
            headers = {"Content-Type": "application/json", **http.signed(body, keys, identifier=message.ref, at=at)}
            return _http.ask(url, lambda answer: judged(answer, at), body=body, headers=headers)

        yield _http.Line(sender, post)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that comes twice is refused: readers disagree which one counts, and a person's text may hold one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _keys(secrets: str) -> list[bytes]:
    try:
        return [http.key_of(secret) for secret in secrets.split()]
    except ValueError:
        raise ChannelError("the setting 'secret' is no whsec_ secret", permanent=True) from None


def judged(answer: http.Answer, at: datetime) -> _http.Verdict:
    """2xx is taken, 429 and 503 are not; 410 refuses the whole account; the rest by its status."""
    code = f"HTTP {answer.status}"
    if 200 <= answer.status < 300:
        return _http.sent(code)
    if answer.status == 410:
        return _http.refused(code)
    return _http.by_status(answer, at, busy=(429, 503))
