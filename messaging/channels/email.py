"""E-mail: SMTP on kept connections, a provider of django-anymail, or any Django e-mail backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import Any, ClassVar

from common.text import one_line
from messaging.channels import Channel, ChannelError, Connection, Outgoing, Sender, _dkim, _http, _mime, _smtp, channels
from messaging.channels._backend import BackendConnection


@channels.register("email")
class EmailChannel(Channel):
    """One message per person: subject, optional preheader (rendered into the HTML), html and text."""

    key: ClassVar[str] = "email"
    parts: ClassVar[tuple[str, ...]] = ("subject", "preheader", "html", "text")
    html: ClassVar[frozenset[str]] = frozenset({"html"})
    reads: ClassVar[tuple[str, ...]] = ("email",)
    medium: ClassVar[str] = "email"
    tracks_opens: ClassVar[bool] = True
    transports: ClassVar[tuple[str, ...]] = ("smtp", "anymail", "backend")
    batches: ClassVar[frozenset[str]] = frozenset({"anymail"})

    def address_of(self, traits: Mapping[str, Any]) -> str:
        """The e-mail address in lower case with its domain in ASCII; "" for what is no mailbox."""
        value = str(traits.get("email") or "").strip().lower()
        local, _, domain = value.rpartition("@")
        try:
            value = value if domain.isascii() else f"{local}@{domain.encode('idna').decode()}"
            _mime.check_address(value)
        except (UnicodeError, _mime.BadHeader):
            return ""
        return value

    def check(self, message: Outgoing) -> str:
        try:
            _mime.check_address(message.to)
            for name, value in message.headers.items():
                _mime.check_value(name, value)
            _mime.check_value("name", message.to_name)
            _mime.check_value("Subject", one_line(message.parts.get("subject", "")))
        except _mime.BadHeader as error:
            return str(error)
        return ""

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        _http.fail_if_refused(sender)
        if sender.transport == "smtp":
            yield _smtp.kept(sender, Composer(sender))
            return
        with closing(_opened(sender)) as connection:
            yield connection


def _opened(sender: Sender) -> Connection:
    """A connection for one batch. anymail is loaded at first need."""
    if sender.transport == "backend":
        return BackendConnection(sender)
    if sender.transport == "anymail":
        from messaging.channels._anymail import AnymailConnection

        return AnymailConnection(sender)
    raise ChannelError(f"e-mail has no transport '{sender.transport}'", permanent=True)


class Composer:
    """Builds the octets of a message for one account: what never changes is built once."""

    def __init__(self, sender: Sender) -> None:
        name, address = _split(sender.sender)
        self._top = _mime.address_header("From", name, address)
        if sender.reply_to:
            self._top += _mime.address_header("Reply-To", *_split(sender.reply_to))
        self._sign = _dkim.signer(sender.settings)

    def __call__(self, message: Outgoing, eight_bit: bool) -> bytes:
        """The message as DATA wants it, dots stuffed. Raises BadHeader (a ValueError)."""
        head = self._top + _mime.address_header("To", _mime.short(message.to_name), message.to)
        if message.at is not None:
            head += f"Date: {_mime.date(message.at.replace(microsecond=0))}\r\n"
        head += f"Message-ID: {message.message_id}\r\n" if message.message_id else ""
        parts = message.parts
        made = _mime.message(
            head=head,
            headers=message.headers,
            subject=one_line(parts.get("subject", "")),
            text=parts.get("text", ""),
            html=parts.get("html", ""),
            boundary=f"=_{message.ref.replace('-', '')}",
            eight_bit=eight_bit and self._sign is None,
        )
        return _mime.stuffed(made if self._sign is None else self._sign(made))


@lru_cache(maxsize=64)
def _split(value: str) -> tuple[str, str]:
    """ "Shop <a@b>" → ("Shop", "a@b")."""
    if "<" not in value:
        return "", value.strip()
    name, _, address = value.rpartition("<")
    return name.strip().strip('"'), address.strip().rstrip(">")
