"""A process of ours that reads frames and answers frames, and is killed when it misbehaves.

A frame is four octets of length and JSON. Two rooms keep one: the renderer (kept) and the press (pressed). It gets no
environment and none of our packages' `__init__`; what it may import is what its entry imports.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from time import monotonic
from typing import Any

LARGEST = 8 * 1024 * 1024  # octets of one answer; a larger one is a lie
ROOM = 1024 * 1024  # octets of a pipe, where the system allows it
PIECE = 256 * 1024  # octets that are read at once
STARTING = 20.0  # seconds; on a busy machine a Python takes its time


class Died(Exception):
    """The child is gone, or was killed because it took too long."""


class Process:
    """One running child. Not for several threads at once. `start` is its program, `paths` what it may import from."""

    def __init__(self, start: str, paths: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", start, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._buffer, self._at = bytearray(), 0
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN | select.POLLHUP)
        for end in (self._in, self._out):
            with contextlib.suppress(OSError, AttributeError):  # less room only means more journeys
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, ROOM)
        self._fresh = True

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, request: str, patience: float) -> None:
        """Send one request of JSON text, once the child has said that it is ready. Raises Died."""
        if self._fresh:
            self.hear(STARTING)
            self._fresh = False
        body = request.encode("utf-8", "replace")
        self._write(len(body).to_bytes(4, "big") + body, patience)

    def hear(self, patience: float) -> dict[str, Any]:
        """The next answer. Raises Died after that many seconds."""
        said: dict[str, Any] = json.loads(self.frame(patience))
        return said

    def frame(self, patience: float) -> bytearray:
        """The octets of the next answer. Raises Died after that many seconds."""
        end = monotonic() + patience
        size = int.from_bytes(self._take(4, end), "big")
        if size > LARGEST:
            raise Died("answered too much")
        return self._take(size, end)

    def kill(self) -> None:
        """End the process, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Close our ends of the pipes (after a fork they belong to the other process, which goes on)."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _write(self, octets: bytes, patience: float) -> None:
        view, end = memoryview(octets), monotonic() + patience
        poll = select.poll()
        poll.register(self._in, select.POLLOUT)
        while view:
            try:
                view = view[os.write(self._in, view) :]
            except BlockingIOError:
                if not poll.poll(max(end - monotonic(), 0) * 1000):
                    raise Died("took no request") from None
            except OSError:
                raise Died("was gone") from None

    def _take(self, count: int, end: float) -> bytearray:
        while len(self._buffer) - self._at < count:
            if not self._poll.poll(max(end - monotonic(), 0) * 1000):
                raise Died("took too long")
            piece = os.read(self._out, PIECE)
            if not piece:
                raise Died("ended")
            del self._buffer[: self._at]
            self._at = 0
            self._buffer += piece
        start, self._at = self._at, self._at + count
        return self._buffer[start : self._at]
