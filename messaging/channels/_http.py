"""What providers that are called over HTTP have in common: one call for one message, judged by what it says.

Transient is only what surely precedes acceptance; once the request may have been read, silence is unknown. What
concerns the whole account stops the batch, and the rest has surely not begun.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from common import http
from messaging.channels import Answer, Bounce, ChannelError, Outcome, Outgoing, Sender

LONGEST_WAIT = timedelta(days=1)  # what a provider asks for beyond this is asked again
SECONDS = http.TOTAL_SECONDS  # that a provider has for its whole answer
NOT_BEGUN = Answer(Outcome.NOT_BEGUN)


@dataclass(frozen=True)
class Verdict:
    """The answer for one message, whether the rest of the batch may go on, and whether the account is refused.
    `said` is what the provider said, for a channel that must look again."""

    answer: Answer
    stops: bool = False
    refused: bool = False
    said: Mapping[str, Any] = field(default_factory=dict)


def sent(code: str, reference: str = "") -> Verdict:
    return Verdict(Answer(Outcome.SENT, code, provider_ref=reference))


def unknown(code: str) -> Verdict:
    return Verdict(Answer(Outcome.UNKNOWN, code))


def permanent(code: str, bounce: Bounce = Bounce.NONE) -> Verdict:
    """This message, for good; `bounce` is what that says about its address."""
    return Verdict(Answer(Outcome.PERMANENT, code, bounce=bounce))


def later(code: str, retry_at: datetime | None) -> Verdict:
    """This message was surely not taken and may be tried again; the others are not concerned."""
    return Verdict(Answer(Outcome.TRANSIENT, code, retry_at=retry_at))


def throttled(code: str, retry_at: datetime | None) -> Verdict:
    """Surely not taken; the whole account must slow down."""
    return Verdict(Answer(Outcome.TRANSIENT, code, retry_at=retry_at, slows=True), stops=True)


def refused(code: str) -> Verdict:
    """Key, signature, permission, money: no message of this account would pass. This one was surely not taken, and
    is lost no more than the rest: it waits until the account is mended."""
    return Verdict(Answer(Outcome.TRANSIENT, code), stops=True, refused=True)


# A signature needs the time of handing over; plug-ins do not read the clock.
UNDATED = throttled("no time to sign with", None)
Judge = Callable[[http.Answer], Verdict]


def ask(url: str, judge: Judge, *, body: bytes, headers: Mapping[str, str], method: str = "POST") -> Verdict:
    """Call and judge the answer. Never raises for a failed call; a code never holds an address or a key."""
    try:
        answer = http.call(method, url, body=body, headers=headers, seconds=SECONDS)
    except http.Refused as error:
        return throttled(f"refused: {error}", None)
    except http.Failed as error:
        return unknown(str(error)) if error.begun else throttled(str(error), None)
    return judge(answer)


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer; {} for a page or anything else."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def by_status(answer: http.Answer, at: datetime | None, *, busy: Container[int] = (429,)) -> Verdict:
    """What a status means where the body does not say: a redirect or a page is no success. `busy` are those by which
    the provider says that it took nothing."""
    status = answer.status
    code = f"HTTP {status}"
    if status in busy:
        return throttled(code, retry_at(answer, at))
    if status in (401, 403, 404, 407):
        return refused(code)
    return permanent(code) if 400 <= status < 500 and status != 408 else unknown(code)


def retry_at(answer: http.Answer, at: datetime | None) -> datetime | None:
    """When Retry-After (seconds or a date, RFC 9110 section 10.2.3) lets us try again, at most a day from `at`; None
    without it, and for what is past or no time at all."""
    value = answer.headers.get("retry-after", "").strip()
    if at is None or not value:
        return None
    if value.isascii() and value.isdecimal():
        wait = timedelta(seconds=min(int(value[:9]), LONGEST_WAIT.total_seconds()))
    else:
        try:
            found = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait = (found if found.tzinfo else found.replace(tzinfo=UTC)) - at
    return at + min(wait, LONGEST_WAIT) if wait > timedelta() else None


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
    opens at once and its probe may try again. Raises ChannelError."""
    known = _refused.pop(sender.key, None)
    if known is not None and known[0] == sender:
        raise ChannelError(f"the provider refuses the account: {known[1]}", permanent=True)


def note_refused(sender: Sender, code: str) -> None:
    """Remember that the provider refused the account, for `fail_if_refused`."""
    _refused[sender.key] = (sender, code)


class Line:
    """Messages one after another, each by `post`. After an answer that concerns the whole account the rest has not
    begun."""

    def __init__(self, sender: Sender, post: Callable[[Outgoing], Verdict]) -> None:
        self._sender, self._post = sender, post
        self._stopped = False

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        for message in batch:
            yield NOT_BEGUN if self._stopped else self._send_one(message)

    def _send_one(self, message: Outgoing) -> Answer:
        verdict = self._post(message)
        self._stopped = verdict.stops
        if verdict.refused:
            note_refused(self._sender, verdict.answer.code)
        return verdict.answer

    def close(self) -> None:
        """Nothing is kept open."""
