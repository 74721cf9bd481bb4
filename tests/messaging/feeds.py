"""A feed server for tests, and feeds that point at it; the guard is opened for it and for nothing else."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from messaging.models import Feed

HOST = "feeds.example"
SAMPLE = {"n": 9, "title": "Sample", "sky": "sampled"}


class FeedServer:
    """What was asked, in order as (path with query, headers), and what is answered: path → (status, body, headers) or
    a function that is handed the handler."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Any] = {}
        self.port = 0

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def url(self, path: str = "/") -> str:
        return f"http://{HOST}:{self.port}{path}"

    def says(self, path: str, value: Any, status: int = 200, **headers: str) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answers[path] = (status, body, headers)

    def does(self, path: str, act: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.answers[path] = act


class _Busy(ThreadingHTTPServer):
    request_queue_size = 128  # a batch knocks at once
    daemon_threads = True


@contextmanager
def feed_server(settings: Any) -> Iterator[FeedServer]:
    """A server on this machine under the name feeds.example (`home` resolves it), allowed for the time of the block."""
    known = FeedServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append((self.path, dict(self.headers.items())))
            answer = known.answers.get(urlsplit(self.path).path, (404, b"{}", {}))
            with suppress(OSError):
                if callable(answer):
                    answer(self)
                    return
                status, body, headers = answer
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    server = _Busy(("127.0.0.1", 0), Handler)
    known.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.OUTBOUND_HTTP, settings.OUTBOUND_PRIVATE = True, ["127.0.0.0/8"]
    settings.FEED_HOSTS = [f"{HOST}:{known.port}"]
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()


def home(host: str, port: int) -> list[str]:
    """Resolve the feed server's name to this machine, and every other as the system does."""
    if host != HOST:
        raise OSError("no such host")
    return ["127.0.0.1"]


def known_here(monkeypatch: Any) -> None:
    """Let this machine's resolver know the feed server's name, for what goes the whole way."""
    real = socket.getaddrinfo
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda host, *rest, **more: real("127.0.0.1" if host == HOST else host, *rest, **more)
    )


def sleeping(seconds: float) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer that comes late."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    return act


def make_feed(key: str, url: str, **fields: Any) -> Feed:
    """A stored feed; a short patience, so that tests of slow servers end."""
    return Feed.objects.create(key=key, name=key.title(), url=url, **{"timeout": 1500, "sample": SAMPLE, **fields})
