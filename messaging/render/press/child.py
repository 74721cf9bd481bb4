"""The press as a process: reads a request, answers with a page, and has nothing else.

A request is {"sources": {part: text}, "html": [part], "opens", "brand_url", "locale"}; the answer a Page as JSON, or
{"error"} when it is larger than a version may be.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

from messaging.render.cell.doors import allow_time, close_doors
from messaging.render.cell.limits import COMPILED, PRESS_MEMORY, PRESS_SECONDS
from messaging.render.press.contract import Kind, Page
from messaging.render.press.markup import build
from messaging.render.press.scan import scan

WARM = {
    "subject": "{{ a }}",
    "preheader": "您好 {{ b }}",
    "mjml": "<mjml><mj-head><mj-style inline='inline'>a{color:red}</mj-style></mj-head><mj-body><mj-section><mj-column>"
    "<mj-text>您好 é &amp; {% for x in xs %}<a href='https://x.example/{{ x }}'>x</a>{% endfor %}</mj-text>"
    "<mj-table><tr><td>1</td></tr></mj-table></mj-column></mj-section></mj-body></mjml>",
}


def press(request: dict[str, Any]) -> dict[str, Any]:
    """One page, with what is seen in its sources."""
    kind = Kind(frozenset(request["html"]), request["opens"], request["brand_url"], request["locale"])
    sources: dict[str, str] = request["sources"]
    page = build(sources, kind)
    _bound(page)
    page.seen = {part: scan(text, html=part == "mjml" or part in kind.html) for part, text in sources.items()}
    return asdict(page)


def _bound(page: Page) -> None:
    """A part that grew beyond what the renderer takes is a fault, and is not sent back."""
    for part, text in list(page.parts.items()):
        if len(text.encode("utf-8", "replace")) > COMPILED:
            page.faults.append((part, f"becomes longer than {COMPILED // 1024} KiB"))
            page.parts[part] = ""


def serve(read: BinaryIO, write: BinaryIO) -> None:
    """Answer requests until the parent closes its end."""
    _say(write, {"ready": True})
    while (size := read.read(4)) and len(size) == 4:
        request = json.loads(read.read(int.from_bytes(size, "big")))
        allow_time(PRESS_SECONDS / 2)
        try:
            answer = press(request)
        except MemoryError:
            sys.exit(1)
        except Exception as error:  # noqa: BLE001  whatever a tool raises concerns this request alone
            answer = {"error": f"cannot be worked ({type(error).__name__})"}
        _say(write, answer)


def _say(write: BinaryIO, what: dict[str, Any]) -> None:
    body = json.dumps(what, ensure_ascii=False).encode("utf-8", "replace")
    write.write(len(body).to_bytes(4, "big") + body)
    write.flush()


def main() -> None:
    """Entry of the process: go every way once, while modules can still be imported, then close the doors."""
    press({"sources": WARM, "html": ["html"], "opens": True, "brand_url": "https://x.example", "locale": "zh"})
    press(
        {"sources": {"html": "<p {{ a(", "text": "x"}, "html": ["html"], "opens": False, "brand_url": "", "locale": ""}
    )
    close_doors(PRESS_MEMORY)
    serve(sys.stdin.buffer, sys.stdout.buffer)
