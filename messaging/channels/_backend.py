"""Any Django e-mail backend as the way out, one message a call. Providers of django-anymail have a way of their own."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.mail import EmailMultiAlternatives, get_connection

from messaging.channels import Answer, ChannelError, Outcome, Outgoing, Sender
from messaging.channels._http import NOT_BEGUN, note_refused
from messaging.channels._smtp import bounce_of

_LATER = frozenset({421, 429, 450, 451, 452, 454, 503})
# Who may not send at all: 530 to 538 are SMTP's words for a missing or wrong log-in (RFC 4954).
REFUSED = frozenset({f"HTTP {status}" for status in (401, 403, 407, 530, 534, 535, 538)})


class BackendConnection:
    """A connection over `settings`: {"backend": "dotted.path", "options": {…}}."""

    def __init__(self, sender: Sender) -> None:
        self._sender, self._refused = sender, False
        try:
            self._backend = get_connection(
                str(sender.settings.get("backend", "")) or None, **dict(sender.settings.get("options", {}))
            )
            self._backend.open()
        except ImportError as error:
            raise ChannelError(f"backend: {error}"[:200], permanent=True) from error
        except (OSError, smtplib.SMTPException) as error:
            raise ChannelError(f"backend: {type(error).__name__}") from error

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        for message in batch:
            if self._refused:
                yield NOT_BEGUN
                continue
            answer = self._send_one(message)
            self._refused = answer.code in REFUSED
            if self._refused:
                note_refused(self._sender, answer.code)
            yield answer

    def _send_one(self, message: Outgoing) -> Answer:
        mail = _mail(message, self._sender)
        try:
            sent = self._backend.send_messages([mail])
        except smtplib.SMTPRecipientsRefused as error:
            return _recipient(*next(iter(error.recipients.values())))
        except smtplib.SMTPSenderRefused as error:
            return Answer(Outcome.PERMANENT if error.smtp_code >= 500 else Outcome.TRANSIENT, f"MAIL {error.smtp_code}")
        except Exception as error:  # noqa: BLE001 - a backend may raise anything; what it means is judged below
            return _judge(error)
        if not sent:
            return Answer(Outcome.UNKNOWN, "backend sent nothing")
        return Answer(Outcome.SENT, "250", provider_ref=_reference(mail))

    def close(self) -> None:
        self._backend.close()


def _recipient(code: int, text: bytes | str) -> Answer:
    """The mailbox was refused, as at RCPT."""
    if code < 500:
        return Answer(Outcome.TRANSIENT, str(code))
    said = text if isinstance(text, bytes) else str(text).encode()
    return Answer(Outcome.PERMANENT, str(code), bounce=bounce_of(code, said))


def _mail(message: Outgoing, sender: Sender) -> EmailMultiAlternatives:
    headers = {**message.headers, "Message-ID": message.message_id}
    reply_to = [sender.reply_to] if sender.reply_to else None
    to = f'"{message.to_name}" <{message.to}>' if message.to_name.isalnum() else message.to
    parts = message.parts
    mail = EmailMultiAlternatives(
        parts.get("subject", ""), parts.get("text", ""), sender.sender, [to], headers=headers, reply_to=reply_to
    )
    if parts.get("html"):
        mail.attach_alternative(parts["html"], "text/html")
    return mail


def _judge(error: Exception) -> Answer:
    """Only an explicit answer of the provider proves that the message was not taken."""
    status = getattr(error, "status_code", None) or getattr(error, "smtp_code", None)
    name = type(error).__name__
    if isinstance(error, ValueError):
        return Answer(Outcome.PERMANENT, f"MIME {name}")
    if status is None:
        refused = "RecipientsRefused" in name
        return Answer(Outcome.PERMANENT if refused else Outcome.UNKNOWN, name)
    if status in _LATER or f"HTTP {status}" in REFUSED:
        return Answer(Outcome.TRANSIENT, f"HTTP {status}")
    if 400 <= status < 600 and status not in (408, 500, 502, 504):
        return Answer(Outcome.PERMANENT, f"HTTP {status}")
    return Answer(Outcome.UNKNOWN, f"HTTP {status}")


def _reference(mail: Any) -> str:
    status = getattr(mail, "anymail_status", None)
    return str(getattr(status, "message_id", "") or "")[:200]
