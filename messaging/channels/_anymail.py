"""E-mail through a provider of django-anymail: one call for one message, or for a batch where the account says how.

A batch is one call with merge fields. Our messages differ in everything, so the provider's message is a carrier whose
subject, html and text are merge fields: written inline where the provider fills them in as they are (Mailgun), else a
template stored there (`template`). The metadata "delivery" goes with every message and comes back in every event, so
that what is in doubt can be concluded; no provider takes a key of idempotency for all its ways of sending.

Traps: an explicit 4xx took nothing of the call, so a batch is then sent one by one and the wrong one fails alone; a
success that cannot be read leaves every message of the call in doubt; when all recipients are refused, anymail raises
and keeps their statuses on the message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import takewhile
from typing import Any

import requests
from anymail.exceptions import (
    AnymailConfigurationError,
    AnymailError,
    AnymailRecipientsRefused,
    AnymailRequestsAPIError,
    AnymailUnsupportedFeature,
)
from anymail.message import AnymailMessage
from django.core.mail import get_connection

from common import http
from messaging.channels import Answer, Bounce, ChannelError, Outcome, Outgoing, Sender, _http

OURS = "delivery"  # the name of our metadata; messaging.receipts reads it
INLINE = {"mailgun": "%recipient.{}%"}  # merge fields that are filled in raw, and only once
OWN = frozenset({"esp", "batch", "template"})  # settings that are ours; all others are anymail's
TIMEOUT = 15  # seconds
FIELDS = ("subject", "html", "text")
STATUSES = {
    "sent": (Outcome.SENT, Bounce.NONE),
    "queued": (Outcome.SENT, Bounce.NONE),
    "invalid": (Outcome.PERMANENT, Bounce.HARD),
    "rejected": (Outcome.PERMANENT, Bounce.NONE),  # on the provider's own list; its events say why
    "failed": (Outcome.PERMANENT, Bounce.NONE),
}


class AnymailConnection:
    """A session with the provider. `begun` are the messages (refs) that a call has taken along, whose answers have
    perhaps not been asked for yet; a call takes along what follows without a gap, since answers go by their order."""

    def __init__(self, sender: Sender) -> None:
        self._sender, self._esp = sender, _http.setting(sender, "esp")
        self._template = str(sender.settings.get("template") or "")
        self._field = "" if self._template else INLINE.get(self._esp, "")
        self._batch = bool(sender.settings.get("batch"))
        if self._batch and not (self._template or self._field):
            raise ChannelError(f"a batch through '{self._esp}' needs the setting 'template'", permanent=True)
        self._backend = _backend(sender, self._esp)
        self._stopped = False
        self._answers: dict[str, Answer] = {}
        self._alone: set[str] = set()
        self.begun: set[str] = set()

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        for place, message in enumerate(batch):
            if self._stopped and message.ref not in self._answers:
                yield _http.NOT_BEGUN
                continue
            if self._batch and message.ref not in self.begun | self._alone:
                self._send_together(list(takewhile(partial(self._fits, first=message), batch[place:])))
            known = self._answers.pop(message.ref) if message.ref in self._answers else None
            yield known if known is not None else self._send_one(message)

    def close(self) -> None:
        self._backend.close()

    def _fits(self, one: Outgoing, first: Outgoing) -> bool:
        """Whether a message may travel with the first: it has the same parts, and nothing in it looks like a field."""
        if one.ref in self.begun | self._alone:
            return False
        opening = self._field.partition("{")[0]
        clean = not opening or not any(opening in value for value in (*one.parts.values(), *one.headers.values()))
        return clean and [bool(one.parts.get(name)) for name in FIELDS] == [bool(first.parts.get(n)) for n in FIELDS]

    def _send_together(self, messages: list[Outgoing]) -> None:
        if len(messages) < 2:
            return
        self.begun.update(one.ref for one in messages)
        carrier = self._carrier(messages)
        verdict = self._call(carrier, messages[0].at)
        if verdict is not None and verdict.answer.outcome is Outcome.PERMANENT:
            self._alone.update(one.ref for one in messages)  # nothing was taken: one by one
            self.begun -= self._alone
            return
        for one in messages:
            self._answers[one.ref] = _answer(carrier, one) if verdict is None else verdict.answer

    def _send_one(self, message: Outgoing) -> Answer:
        mail = _mail(message, self._sender)
        verdict = self._call(mail, message.at)
        return _answer(mail, message) if verdict is None else verdict.answer

    def _call(self, mail: AnymailMessage, at: datetime | None) -> _http.Verdict | None:
        """Send; None when the message's status says what became of each recipient."""
        try:
            sent = self._backend.send_messages([mail])
        except AnymailRecipientsRefused:
            return None
        except Exception as error:  # noqa: BLE001 - a backend may raise anything; what it means is judged below
            verdict = judged(error, at)
            self._stopped = verdict.stops
            if verdict.refused:
                _http.note_refused(self._sender, verdict.answer.code)
            return verdict
        return None if sent else _http.unknown("the provider sent nothing")

    def _carrier(self, messages: list[Outgoing]) -> AnymailMessage:
        names = [name for name in FIELDS if messages[0].parts.get(name)]
        shown = {name: self._field.format(name) for name in names} if self._field else {}
        mail = AnymailMessage(
            shown.get("subject", ""),
            shown.get("text", ""),
            self._sender.sender,
            [_to(one) for one in messages],
            reply_to=[self._sender.reply_to] if self._sender.reply_to else None,
            merge_data={one.to: {name: one.parts[name] for name in names} for one in messages},
            merge_metadata={one.to: {OURS: one.ref} for one in messages},
            merge_headers={one.to: dict(one.headers) for one in messages},
        )
        if shown.get("html"):
            mail.attach_alternative(shown["html"], "text/html")
        if self._template:
            mail.template_id = self._template
        return mail


def _backend(sender: Sender, esp: str) -> Any:
    options = {name: value for name, value in sender.settings.items() if name not in OWN}
    try:
        backend = get_connection(f"anymail.backends.{esp}.EmailBackend", **{"timeout": TIMEOUT, **options})
        backend.open()
    except (ImportError, AnymailError, AnymailConfigurationError) as error:
        raise ChannelError(f"anymail {esp}: {type(error).__name__}", permanent=True) from error
    return backend


def _to(message: Outgoing) -> str:
    return f'"{message.to_name}" <{message.to}>' if message.to_name.isalnum() else message.to


def _mail(message: Outgoing, sender: Sender) -> AnymailMessage:
    mail = AnymailMessage(
        message.parts.get("subject", ""),
        message.parts.get("text", ""),
        sender.sender,
        [_to(message)],
        reply_to=[sender.reply_to] if sender.reply_to else None,
        headers={**message.headers, "Message-ID": message.message_id},
        metadata={OURS: message.ref},
    )
    if message.parts.get("html"):
        mail.attach_alternative(message.parts["html"], "text/html")
    return mail


def _answer(mail: AnymailMessage, message: Outgoing) -> Answer:
    """What the provider said of one recipient."""
    status = mail.anymail_status.recipients.get(message.to)
    said = str(status.status or "unknown") if status is not None else "unknown"
    outcome, bounce = STATUSES.get(said, (Outcome.UNKNOWN, Bounce.NONE))
    return Answer(outcome, said, str(getattr(status, "message_id", None) or "")[:200], bounce=bounce)


def judged(error: Exception, at: datetime | None) -> _http.Verdict:
    """What an error means: only an explicit answer of the provider proves that a message was not taken."""
    if isinstance(error, (AnymailUnsupportedFeature, AnymailConfigurationError)):
        return _http.refused(type(error).__name__)  # the account asks for what its provider does not do
    if isinstance(error, AnymailRequestsAPIError) and error.response is not None:
        found = error.response
        headers = {name.lower(): value for name, value in found.headers.items()}
        return _http.by_status(http.Answer(found.status_code, headers, b"", False), at, busy=(429, 503))
    if isinstance(error, ValueError) and not isinstance(error, requests.RequestException):
        return _http.permanent(f"MIME {type(error).__name__}")
    if _is_closed(error):
        return _http.throttled("ConnectError", None)
    return _http.unknown(type(error.__cause__ or error).__name__)


def _is_closed(error: Exception) -> bool:
    """Whether no connection came about, so that surely nothing was said."""
    cause: Any = error.__cause__
    if isinstance(cause, requests.ConnectTimeout):
        return True
    reason = (
        getattr(cause.args[0], "reason", None) if isinstance(cause, requests.ConnectionError) and cause.args else None
    )
    return type(reason).__name__ in ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError")
