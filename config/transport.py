"""The broker that needs no server: messages as files, each written whole and taken by exactly one consumer.

kombu's own file transport writes a message in place and reads it without a lock, so that two consumers meet
half-written files and lose them. Here a message is written to a hidden name and renamed into its queue's folder;
whoever can rename it out of there owns it. Names sort by time of writing.
"""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections import deque
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote

from kombu.transport import virtual
from kombu.utils.json import dumps, loads

STALE_SECONDS = 3600
_count = itertools.count()


def put(folder: Path, payload: bytes) -> Path:
    """Write one message into `folder` (made if missing) so that no reader ever sees a part of it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{next(_count) % 10**6:06d}-{uuid.uuid4().hex}"
    hidden = folder / f".{name}"
    hidden.write_bytes(payload)
    return hidden.rename(folder / f"{name}.msg")


def take(path: Path, taken: Path) -> bytes | None:
    """Own and remove the message at `path`; None when another consumer was first."""
    mine = taken / f"{os.getpid()}-{path.name}"
    try:
        path.rename(mine)
    except FileNotFoundError:
        return None
    payload = mine.read_bytes()
    mine.unlink()
    return payload


def names(folder: Path) -> list[str]:
    """The messages waiting in `folder`, oldest first."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".msg"))
    except FileNotFoundError:
        return []


def prune(root: Path, *, older_than: float = STALE_SECONDS) -> int:
    """Remove what a killed process left half-written or half-taken; returns how many files."""
    gone, limit = 0, time.time() - older_than
    for path in itertools.chain(root.glob("taken/*"), root.glob("messages/*/.*")):
        try:
            if path.stat().st_mtime < limit:
                path.unlink()
                gone += 1
        except FileNotFoundError:
            continue
    return gone


class Channel(virtual.Channel):
    """A folder per queue, whole writes and one owner per message.

    Bindings live in memory: the house publishes straight to a queue, and remote control, which would need
    fan-out, is off with this broker.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen: dict[str, deque[str]] = {}
        options: Any = self.connection.client.transport_options  # type: ignore[union-attr]
        self._root = Path(options["folder"])
        self._taken = self._root / "taken"
        self._taken.mkdir(parents=True, exist_ok=True)
        prune(self._root)

    def _folder(self, queue: str) -> Path:
        return self._root / "messages" / quote(queue, safe="")

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        put(self._folder(queue), dumps(message).encode())

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder, seen = self._folder(queue), self._seen.setdefault(queue, deque())
        if not seen:
            seen.extend(names(folder))
        while seen:
            payload = take(folder / seen.popleft(), self._taken)
            if payload is not None:
                return loads(payload.decode())
        raise Empty

    def _size(self, queue: str) -> int:
        return len(names(self._folder(queue)))

    def _purge(self, queue: str) -> int:
        folder = self._folder(queue)
        return sum(take(folder / name, self._taken) is not None for name in names(folder))


class SafeFiles(virtual.Transport):
    """The transport behind `filesystem://`; its one option is the absolute `folder`."""

    Channel = Channel
    implements = virtual.Transport.implements.extend(asynchronous=False, exchange_type=frozenset(["direct"]))
    state = virtual.BrokerState()
    default_port = 0
    driver_type = "filesystem"
    driver_name = "filesystem"
    polling_interval = 0.2

    def driver_version(self) -> str:
        return "1"
