"""The long tail through apprise: chats, pagers and gadgets that nobody writes a channel for, by one address each.

Apprise says that it worked, or that it did not, and not why: nothing proves that a message was not taken, so whatever
did not work is unknown. It has no receipts and calls out by itself, past the rules of common.http: its address is the
account's and never a person's. Its own throttle (5.5 s a message) is off; the account's rate is what counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from messaging.channels import Answer, Channel, ChannelError, Connection, Outcome, Outgoing, Sender, _http, channels

SECONDS = 10  # that a service has for its answer
EXTRA = "apprise is needed: pip install 'perennial[apprise]'"


@channels.register("apprise")
class AppriseChannel(Channel):
    """The account's `url` is the address: a message of any person goes there."""

    key: ClassVar[str] = "apprise"
    parts: ClassVar[tuple[str, ...]] = ("title", "text", "markdown")
    medium: ClassVar[str] = "social"
    needs_address: ClassVar[bool] = False
    transports: ClassVar[tuple[str, ...]] = ("apprise",)

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    def check(self, message: Outgoing) -> str:
        said = any(message.parts.get(name, "").strip() for name in ("text", "markdown"))
        return "" if said else "neither text nor markdown"

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        try:
            from apprise import Apprise
        except ImportError:
            raise ChannelError(EXTRA, permanent=True) from None
        service = Apprise()
        if not service.add(_http.setting(sender, "url")) or len(service) != 1:
            raise ChannelError("the setting 'url' is no address that apprise knows", permanent=True)
        for one in service:
            one.request_rate_per_sec = 0
        yield AppriseConnection(service)


class AppriseConnection:
    def __init__(self, service: Any) -> None:
        self._service = service

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        for message in batch:
            yield self._send_one(message)

    def _send_one(self, message: Outgoing) -> Answer:
        kind = "markdown" if message.parts.get("markdown", "").strip() else "text"
        title = message.parts.get("title", "").strip()
        done = self._service.notify(message.parts.get(kind, ""), title, body_format=kind, timeout=SECONDS)
        if done:
            return Answer(Outcome.SENT, "success")
        return Answer(Outcome.UNKNOWN, f"apprise {done.status.name.lower()}")

    def close(self) -> None:
        """Nothing is kept open."""
