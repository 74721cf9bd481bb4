"""A process of ours that reads frames and answers frames, and is killed when it misbehaves.

A frame is four octets of length and JSON. Two rooms keep one: the renderer (kept) and the press (pressed). It gets no
environment and none of our packages' `__init__`; what it may import is what its entry imports.
"""

from __future__ import annotations

import contextlib
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
        self._buffer = bytearray()
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
        end = monotonic() + patience
        size = int.from_bytes(self._take(4, end), "big")
        if size > LARGEST:
            raise Died("answered too much")
        said: dict[str, Any] = json.loads(self._take(size, end))
        return said

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

    def _take(self, count: int, end: float) -> bytes:
        poll = select.poll()
        poll.register(self._out, select.POLLIN | select.POLLHUP)
        while len(self._buffer) < count:
            if not poll.poll(max(end - monotonic(), 0) * 1000):
                raise Died("took too long")
            piece = os.read(self._out, 1 << 16)
            if not piece:
                raise Died("ended")
            self._buffer += piece
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
