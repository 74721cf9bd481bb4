"""What the work messengers (WeCom, DingTalk, Feishu) have in common: JSON out, a numbered answer back.

They answer with HTTP 200 and say in the body what happened, so the number decides; a page, a redirect or an answer
without a number is no success. What an answer means for the account is said in the same words as everywhere (_http).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from common import http
from messaging.channels import Outcome, _http

JSON = {"Content-Type": "application/json"}
BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Codes:
    """A provider's numbers: `names` of the number in the body, the first present counts. What is not listed is a
    refusal of the message; `unsure` are answers that do not say whether it was taken ("system busy"); who is throttled
    waits for `wait`, unless Retry-After or the header `reset` says how long."""

    names: tuple[str, ...] = ("errcode",)
    text: str = "errmsg"
    throttled: frozenset[int] = frozenset()
    account: frozenset[int] = frozenset()
    unsure: frozenset[int] = frozenset({-1})
    wait: timedelta = timedelta(minutes=1)
    reset: str = ""

    def number(self, said: Mapping[str, Any]) -> int | None:
        return next((said[name] for name in self.names if type(said.get(name)) is int), None)

    def judge(self, said: Mapping[str, Any], number: int, at: datetime | None) -> _http.Verdict:
        """What a number means; `at` is when it was asked."""
        code = f"{self.names[0]} {number}"
        if number == 0:
            return _http.sent(code, str(said.get("msgid") or ""))
        if number in self.throttled:
            return self.later(code, at)
        if number in self.account:
            return _http.refused(code)
        return _http.unknown(code) if number in self.unsure else _http.permanent(code)

    def later(self, code: str, at: datetime | None) -> _http.Verdict:
        return _http.throttled(code, at + self.wait if at else None)

    def read(self, answer: http.Answer, at: datetime | None) -> _http.Verdict:
        """The number decides, and the status where there is none or it contradicts."""
        said, status = _http.parsed(answer.body), answer.status
        number = self.number(said)
        if number is not None and status < 500 and status != 429 and (number != 0 or status == 200):
            return self._in_time(replace(self.judge(said, number, at), said=said), answer, at)
        if status in BUSY:
            return self._in_time(self.later(f"HTTP {status}", at), answer, at)
        return replace(_http.by_status(answer, at), said=said)

    def _in_time(self, verdict: _http.Verdict, answer: http.Answer, at: datetime | None) -> _http.Verdict:
        """Of what is throttled: when the provider itself says that it may be tried again."""
        asked = _http.retry_at(answer, at) or self._reset(answer, at)
        if verdict.answer.outcome is not Outcome.TRANSIENT or not verdict.answer.slows or asked is None:
            return verdict
        return replace(verdict, answer=replace(verdict.answer, retry_at=asked))

    def _reset(self, answer: http.Answer, at: datetime | None) -> datetime | None:
        """The same by a header of the provider's own, in seconds."""
        text = answer.headers.get(self.reset, "").strip()
        if not self.reset or at is None or not text.isascii() or not text.isdecimal():
            return None
        return at + min(timedelta(seconds=int(text[:9])), _http.LONGEST_WAIT)


def ask(url: str, payload: Mapping[str, Any] | None, codes: Codes, at: datetime | None) -> _http.Verdict:
    """Call the provider (GET without a payload) and judge what it says. Never raises for a failed call."""
    body, method = (b"", "GET") if payload is None else (encoded(payload), "POST")
    return _http.ask(url, lambda answer: codes.read(answer, at), body=body, headers=JSON, method=method)


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
