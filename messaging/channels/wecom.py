"""WeCom application message: from a company's own application to one of its people, by user id.

https://developer.work.weixin.qq.com/document/path/90236
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from messaging.channels import (
    Channel,
    ChannelError,
    Connection,
    Limit,
    Outcome,
    Outgoing,
    Sender,
    _http,
    _robots,
    channels,
)

HOST = "https://qyapi.weixin.qq.com"
LIMITS = {"text": 2048, "markdown": 2048}
TRAIT = "wecom_userid"
STALE = frozenset({40014, 42001})  # invalid and expired access token
EARLY = 120  # seconds before its end that a token is renewed
CODES = _robots.Codes(
    throttled=frozenset({45009, 45011, 45033}),
    account=frozenset({40001, 40013, 40056, 40091, 48002, 50003, 60011, 60020, 301002, *STALE}),
)
_USER = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,63}")  # "@all" and "a|b" would be more than one person


@channels.register("wecom")
class WecomChannel(Channel):
    """One message per person; the address is the person's user id in the company's directory."""

    key: ClassVar[str] = "wecom"
    parts: ClassVar[tuple[str, ...]] = ("text", "markdown")
    reads: ClassVar[tuple[str, ...]] = (TRAIT,)
    medium: ClassVar[str] = "social"
    transports: ClassVar[tuple[str, ...]] = ("http",)
    limits: ClassVar[tuple[Limit, ...]] = tuple(Limit(part, most) for part, most in LIMITS.items())

    def address_of(self, traits: Mapping[str, Any]) -> str:
        """The user id in lower case, as the provider returns it; "" for what is none."""
        value = str(traits.get(TRAIT) or "").strip().lower()
        return value if _USER.fullmatch(value) else ""

    def check(self, message: Outgoing) -> str:
        if not _USER.fullmatch(message.to):
            return "not a single user id"
        return _robots.too_long(message.parts, LIMITS)

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        application = Application(sender)
        _http.fail_if_refused(sender)
        tokens.current(application)
        yield _http.Line(sender, application.post)


class Application:
    """An application of a company, and how a message leaves by it."""

    def __init__(self, sender: Sender) -> None:
        self.corp_id, self.secret = _http.setting(sender, "corp_id"), _http.setting(sender, "secret")
        agent = _http.setting(sender, "agent_id")
        if not agent.isdecimal():
            raise ChannelError("the setting 'agent_id' is no number", permanent=True)
        self.agent_id, self.base = int(agent), _http.base_of(sender, HOST)

    def post(self, message: Outgoing) -> _http.Verdict:
        """Send it; a token that the provider no longer knows is renewed once."""
        try:
            token = tokens.current(self)
            verdict = self._post(message, token)
            if verdict.said.get("errcode") in STALE:
                verdict = self._post(message, tokens.current(self, stale=token))
        except ChannelError as error:
            return _http.refused(str(error)) if error.permanent else _http.throttled(str(error), None)
        return _for_one(verdict, message.to)

    def _post(self, message: Outgoing, token: str) -> _http.Verdict:
        kind = "markdown" if message.parts.get("markdown", "").strip() else "text"
        said = {"touser": message.to, "msgtype": kind, "agentid": self.agent_id}
        url = f"{self.base}/cgi-bin/message/send?{urlencode({'access_token': token})}"
        return _robots.ask(url, {**said, kind: {"content": message.parts[kind]}}, CODES, message.at)


def _for_one(verdict: _http.Verdict, to: str) -> _http.Verdict:
    """The provider accepts a call and names those it left out; with one person that is a refusal."""
    for name in ("invaliduser", "unlicenseduser"):
        left_out = str(verdict.said.get(name) or "").lower().split("|")
        if verdict.answer.outcome is Outcome.SENT and to in left_out:
            return _http.permanent(name)
    return verdict


@dataclass(frozen=True)
class Token:
    value: str
    until: float  # of the monotonic clock


class Tokens:
    """Access tokens of this process. One thread asks for an account's token; the others wait and use it, for the
    provider limits how often it may be asked."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Token] = {}
        self._locks: dict[tuple[str, str, str], threading.Lock] = {}

    def current(self, application: Application, *, stale: str = "") -> str:
        """A token that is good by all we know, and is not `stale`. Raises ChannelError."""
        owner = (application.base, application.corp_id, application.secret)
        with self._locks.setdefault(owner, threading.Lock()):
            known = self._known.get(owner)
            if known is None or known.value == stale or time.monotonic() >= known.until:
                self._known.pop(owner, None)
                known = self._known[owner] = _fetch(application)
            return known.value


def _fetch(application: Application) -> Token:
    query = urlencode({"corpid": application.corp_id, "corpsecret": application.secret})
    verdict = _robots.ask(f"{application.base}/cgi-bin/gettoken?{query}", None, CODES, None)
    value, seconds, answer = verdict.said.get("access_token"), verdict.said.get("expires_in"), verdict.answer
    if answer.outcome is not Outcome.SENT or not isinstance(value, str) or not isinstance(seconds, int):
        refused = verdict.refused or answer.outcome is Outcome.PERMANENT
        raise ChannelError(f"gettoken: {answer.code}", permanent=refused)
    return Token(value, time.monotonic() + seconds - EARLY)


tokens = Tokens()
