"""The in-app inbox: the accepted row of the ledger is the message itself; an app reads it through the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from messaging.channels import Answer, Channel, Connection, Outcome, Outgoing, Sender, channels


@channels.register("inbox")
class InboxChannel(Channel):
    """Needs no address: the person is the address. Nothing leaves the house, so groups may be large."""

    key: ClassVar[str] = "inbox"
    parts: ClassVar[tuple[str, ...]] = ("title", "body")
    html: ClassVar[frozenset[str]] = frozenset({"body"})
    medium: ClassVar[str] = "inbox"
    needs_address: ClassVar[bool] = False
    stores: ClassVar[bool] = True
    group: ClassVar[int] = 200

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        yield InboxConnection()


class InboxConnection:
    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        for _ in batch:
            yield Answer(Outcome.SENT, "stored")

    def close(self) -> None:
        """Nothing to close."""
