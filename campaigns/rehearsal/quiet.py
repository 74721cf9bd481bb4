"""Nothing leaves the house: channels take every message and send none, and the process has no network.

The two do not rely on each other. Closing the network cannot be undone, so it is for a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from messaging.channels import Answer, Channel, Outcome, Outgoing, Sender, channels

CALLS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"})


class Closed(OSError):
    """Something wanted to go over the network during a rehearsal."""


class Taker:
    """A connection that takes everything and does nothing."""

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        return iter([Answer(Outcome.SENT, code="rehearsed")] * len(batch))

    def close(self) -> None:
        """Nothing is open."""


def quieten_channels() -> None:
    """Let every channel judge its messages as ever, and send none."""
    for key, channel in channels.items():
        channels.replace(key, silent(channel))


def silent(channel: Channel) -> Channel:
    """The channel with its own addresses, parts and limits, whose connection is a Taker."""

    def connect(self: Channel, sender: Sender) -> AbstractContextManager[Taker]:
        return nullcontext(Taker())

    made: Channel = type(f"Silent{type(channel).__name__}", (type(channel),), {"connect": connect})()
    return made


def close_network() -> None:
    """Refuse every call of this process's Python over a network, for good. Connections that are open stay so, and a
    database's driver that is not written in Python keeps its own."""
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event in CALLS and not _is_local(args):
        raise Closed(f"a rehearsal goes over no network ({event})")


def _is_local(args: tuple[Any, ...]) -> bool:
    """A socket that is a file of this machine: the address is text."""
    return len(args) > 1 and isinstance(args[1], str | bytes) and not isinstance(args[0], str)
