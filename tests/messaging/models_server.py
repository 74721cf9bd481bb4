"""A stand-in for a model server: it speaks the wire of chat completions, and misbehaves on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-0123456789"
GOOD = {
    "subject": "Your gift is waiting, {{ profile.first_name }}",
    "preheader": "Ready for your first order.",
    "heading": "A gift for your first order",
    "paragraphs": ["Thank you for joining {{ brand.name }}. Tea & cake are on us.", "Enter the code at checkout."],
    "button": "Choose something",
}
CHINESE = {
    "subject": "{{ profile.first_name }}，新人礼等您来用",
    "preheader": "首单就能用。",
    "heading": "给您的第一份礼",
    "paragraphs": ["谢谢您加入 {{ brand.name }}。"],
    "button": "去挑一件",
}


def completion(text: str, *, finish: str = "stop", tokens: int = 321, **message: Any) -> dict[str, Any]:
    """The body of an answer, as the wire has it."""
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "writer-1-2026",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": 300, "completion_tokens": tokens - 300, "total_tokens": tokens},
    }  # fmt: skip


def variants(*parts: Any) -> dict[str, Any]:
    return completion(json.dumps({"variants": list(parts)}, ensure_ascii=False))


class Model:
    """What was asked, as (headers, body), and what is answered next: (status, body, headers), the last for ever."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.paths: list[str] = []
        self.answers: list[tuple[int, Any, dict[str, str]]] = [(200, variants(GOOD), {})]
        self.delay = 0.0

    def says(self, body: Any, status: int = 200, **headers: str) -> None:
        self.answers = [(status, body, headers)]

    @property
    def prompt(self) -> dict[str, Any]:
        """The data of the last question."""
        said: dict[str, Any] = json.loads(self.asked[-1][1]["messages"][1]["content"])
        return said


@contextmanager
def model_server(settings: Any) -> Iterator[Model]:
    """A server on this machine, with settings that lead to it."""
    model = Model()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            model.asked.append((dict(self.headers.items()), json.loads(self.rfile.read(size))))
            model.paths.append(self.path)
            status, body, headers = model.answers.pop(0) if len(model.answers) > 1 else model.answers[0]
            time.sleep(model.delay)
            text = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
            with suppress(OSError):
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.OUTBOUND_HTTP, settings.OUTBOUND_PRIVATE = True, ["127.0.0.0/8"]
    settings.COPY_URL, settings.COPY_MODEL, settings.COPY_KEY = (
        f"http://127.0.0.1:{server.server_port}/v1",
        "writer-1",
        KEY,
    )
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
