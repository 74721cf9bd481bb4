"""A local server that plays a provider: it reads the whole request, and a test says what it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request as it came: the target undecoded, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, strict_parsing=True)) if "?" in self.target else {}

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), strict_parsing=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Said:
    status: int
    body: Any = None  # as JSON; bytes as they are
    headers: tuple[tuple[str, str], ...] = ()


DROP = Said(0)  # the request is read, the connection is closed
HOLD = Said(-1)  # the request is read, and nothing comes
Play = Callable[[Asked], Said]


def script(*answers: Said) -> Play:
    """Play these, one after another."""
    left = iter(answers)
    return lambda asked: next(left)


class Gateway(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, play: Play) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.play = play
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, {n.lower(): v for n, v in self.headers.items()}, body)
        self.server.asked.append(asked)
        said = self.server.play(asked)
        self.close_connection = True
        if said is HOLD:
            self.server.ended.wait(5)
        if said is HOLD or said is DROP:
            return
        self.send_response(said.status)
        for name, value in said.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode())

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *args: Any) -> None: ...


@contextmanager
def serving(play: Play) -> Iterator[Gateway]:
    server = Gateway(play)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
