"""The console: one line on standard output per message, to try a journey without any provider."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from common.text import one_line
from messaging.channels import Answer, Channel, Connection, Outcome, Outgoing, Sender, channels


@channels.register("console")
class ConsoleChannel(Channel):
    """Prints channel, reference and text; needs no address."""

    key: ClassVar[str] = "console"
    parts: ClassVar[tuple[str, ...]] = ("text",)
    needs_address: ClassVar[bool] = False

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        yield ConsoleConnection()


class ConsoleConnection:
    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        for message in batch:
            sys.stdout.write(f"console {message.ref} {one_line(message.parts.get('text', ''))}\n")
            sys.stdout.flush()
            yield Answer(Outcome.SENT, "printed")

    def close(self) -> None:
        """Nothing to close."""
