"""What the work messengers (WeCom, DingTalk, Feishu) have in common: JSON out, a numbered answer back.

They answer with HTTP 200 and say in the body what happened, so the number decides; a page, a redirect or an answer
without a number is no success. Transient is only what surely precedes acceptance. Keys travel in the address, so what
httpx would log of it is dropped here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from common import http
from messaging.channels import Answer, ChannelError, Outcome, Outgoing, Sender

# httpx writes every address at INFO, and these addresses hold keys.
logging.getLogger("httpx").addFilter(lambda record: record.levelno >= logging.WARNING)


class Kind(Enum):
    """What a reply means, for the message and for the account."""

    SENT = auto()
    THROTTLED = auto()  # surely not taken; the account must slow down
    UNREACHED = auto()  # surely not begun: no connection, or an address that may not be called
    REFUSED = auto()  # this message, for good
    ACCOUNT = auto()  # key, signature, permission: no message of this account would pass
    UNKNOWN = auto()


OUTCOMES = {
    Kind.SENT: Outcome.SENT,
    Kind.THROTTLED: Outcome.TRANSIENT,
    Kind.UNREACHED: Outcome.TRANSIENT,
    Kind.REFUSED: Outcome.PERMANENT,
    Kind.ACCOUNT: Outcome.PERMANENT,
    Kind.UNKNOWN: Outcome.UNKNOWN,
}
STOPS = frozenset({Kind.THROTTLED, Kind.UNREACHED, Kind.ACCOUNT})  # the rest of the batch would fare no better
_NOT_BEGUN = Answer(Outcome.NOT_BEGUN)


@dataclass(frozen=True)
class Reply:
    kind: Kind
    code: str
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Codes:
    """A provider's numbers: `names` of the number in the body, the first present counts. What is not listed is a
    refusal of the message; `unsure` are answers that do not say whether it was taken ("system busy")."""

    names: tuple[str, ...] = ("errcode",)
    text: str = "errmsg"
    throttled: frozenset[int] = frozenset()
    account: frozenset[int] = frozenset()
    unsure: frozenset[int] = frozenset({-1})

    def number(self, said: Mapping[str, Any]) -> int | None:
        return next((said[name] for name in self.names if type(said.get(name)) is int), None)

    def judge(self, said: Mapping[str, Any], number: int) -> Kind:
        if number == 0:
            return Kind.SENT
        lists = ((self.throttled, Kind.THROTTLED), (self.account, Kind.ACCOUNT), (self.unsure, Kind.UNKNOWN))
        return next((kind for numbers, kind in lists if number in numbers), Kind.REFUSED)


def ask(url: str, payload: Mapping[str, Any] | None, codes: Codes) -> Reply:
    """Call the provider (GET without a payload) and judge what it says. Never raises for a failed call."""
    body = b"" if payload is None else encoded(payload)
    try:
        answer = http.call(
            "GET" if payload is None else "POST", url, body=body, headers={"Content-Type": "application/json"}
        )
    except http.Refused as error:
        return Reply(Kind.UNREACHED, f"refused: {error}")
    except http.Failed as error:
        return Reply(Kind.UNKNOWN if error.begun else Kind.UNREACHED, str(error))
    said = _parsed(answer.body)
    number = codes.number(said)
    if number is None or answer.status >= 500 or answer.status == 429 or (number == 0 and answer.status != 200):
        return Reply(_by_status(answer.status), f"HTTP {answer.status}", said)
    return Reply(codes.judge(said, number), f"{codes.names[0]} {number}", said)


def _by_status(status: int) -> Kind:
    if status in (429, 503):
        return Kind.THROTTLED
    if status in (401, 403, 404):
        return Kind.ACCOUNT
    return Kind.REFUSED if 400 <= status < 500 and status != 408 else Kind.UNKNOWN


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def encoded(payload: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8 as it goes over the wire; a lone surrogate becomes a question mark."""
    return json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")


def mac(key: str, message: str) -> str:
    """HMAC-SHA-256 in base64, as DingTalk and Feishu sign."""
    return base64.b64encode(hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()).decode()


def too_long(parts: Mapping[str, str], limits: Mapping[str, int]) -> str:
    """Why the parts cannot be sent: nothing to say, or more bytes than the provider takes; "" when they can."""
    if not (parts.get("markdown", "").strip() or parts.get("text", "").strip()):
        return "neither text nor markdown"
    for name, most in limits.items():
        size = len(parts.get(name, "").encode("utf-8", "replace"))
        if size > most:
            return f"{name} has {size} bytes, the provider takes {most}"
    return ""


def setting(sender: Sender, name: str) -> str:
    """A setting that must be there. Raises ChannelError, naming it and never its value."""
    value = str(sender.settings.get(name) or "")
    if not value:
        raise ChannelError(f"the setting '{name}' is empty", permanent=True)
    return value


def base_of(sender: Sender, usual: str) -> str:
    """Where the provider is: its usual address, or the account's `url` (an own gateway, another region)."""
    return str(sender.settings.get("url") or usual).rstrip("/")


_refused: dict[str, tuple[Sender, str]] = {}


def fail_if_refused(sender: Sender) -> None:
    """After the provider refused the account as configured, the next connect says so, once: the account's breaker
    opens and its probe may try again. Raises ChannelError."""
    known = _refused.pop(sender.key, None)
    if known is not None and known[0] == sender:
        raise ChannelError(f"the provider refuses the account: {known[1]}", permanent=True)


class Line:
    """Messages one after another. After an answer that concerns the whole account the rest has not begun."""

    def __init__(self, sender: Sender, post: Callable[[Outgoing], Reply], *, wait: timedelta) -> None:
        self._sender, self._post, self._wait = sender, post, wait
        self._stopped = False

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        for message in batch:
            yield _NOT_BEGUN if self._stopped else self._send_one(message)

    def _send_one(self, message: Outgoing) -> Answer:
        reply = self._post(message)
        self._stopped = reply.kind in STOPS
        if reply.kind is Kind.ACCOUNT:
            _refused[self._sender.key] = (self._sender, reply.code)
        retry_at = message.at + self._wait if reply.kind is Kind.THROTTLED and message.at else None
        reference = str(reply.said.get("msgid") or "") if reply.kind is Kind.SENT else ""
        return Answer(OUTCOMES[reply.kind], reply.code, reference, retry_at)

    def close(self) -> None:
        """Nothing is kept open."""


# A signature needs the time of handing over; plug-ins do not read the clock.
UNDATED = Reply(Kind.UNREACHED, "no time to sign with")
