"""The kept child: reads requests on stdin, answers on stdout, and has nothing else.

It starts without environment, and before its first request it gives up opening anything (no descriptor beyond
the three it has, so no file and no socket), writing files and starting processes; then it says that it is ready.
A frame is four octets of length and JSON. For {"load": {key: {part: [is html, source]}}, "jobs": [[key,
variables], …]} it answers one frame per source loaded and one per job, each as soon as it is done, so that the
parent knows which of them was at work when it died. The parts of a message follow their JSON, {"done": {part: how many
characters}}, on a new line and one after another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from time import monotonic
from typing import Any, BinaryIO

import jinja2.debug  # noqa: F401  (Jinja2 imports it when a template raises; by then nothing can be opened)
from jinja2 import Template, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError

from . import guard
from .doors import allow_time, close_doors
from .environment import Cell
from .limits import COMPILED, MEMORY, OUTPUT, SECONDS, Refused
from .zones import read_zones

HOLD = 0.02  # seconds that an answer may wait for others
SOME = 64  # pieces of a message that are counted together; none is larger than a part's source or a filter's result
Parts = dict[str, Template]
WARM = (
    "{% for x in xs if x is string %}{{ x | upper | truncate(2) | urlencode }}{{ loop.index * 1.5 }}{% endfor %}"
    '{% set a = 1250 %}{{ a | money("USD") }}'
    '{{ "2026-03-02T10:00:00+08:00" | datetime("short", "Asia/Tokyo") ~ "é\\n" }}{{ gone }}'
)
TOLD = (UndefinedError, SecurityError, TemplateSyntaxError, Refused)  # whose words are for the author


class Bench:
    """The compiled templates of this process, by key, and the work on them."""

    def __init__(self) -> None:
        self._parts: dict[str, Parts] = {}

    def load(self, key: str, sources: Mapping[str, tuple[bool, str]]) -> None:
        """Read, then compile, the parts of one version and locale. Raises Refused and Jinja2's errors."""
        for html, source in sources.values():
            guard.refuse(source, html=html, limit=COMPILED, marks=True)
        self._parts[key] = {part: Cell.of(html=html).from_string(source) for part, (html, source) in sources.items()}

    def render(self, key: str, variables: dict[str, Any]) -> dict[str, str]:
        """Every part of one message. Raises Refused and Jinja2's errors."""
        left = OUTPUT
        done: dict[str, str] = {}
        for name, template in self._parts[key].items():
            pieces: list[str] = []
            coming = _pieces(template, variables)
            while some := list(islice(coming, SOME)):
                left -= sum(map(len, some))
                if left < 0:
                    raise Refused(f"the message is longer than {OUTPUT // 1024} KiB")
                pieces += some
            done[name] = "".join(pieces)
        return done


def _pieces(template: Template, variables: dict[str, Any]) -> Iterator[str]:
    return template.root_render_func(template.new_context(variables, shared=True))


def answer(work: Any, *args: Any) -> dict[str, Any]:
    """What came of one piece of work; memory that ran out also ends this process ("gone")."""
    try:
        return {"done": work(*args)}
    except TOLD as error:
        return {"error": str(error)[:300] or type(error).__name__}
    except MemoryError:
        return {"error": "out of memory", "gone": True}
    except RecursionError:
        return {"error": "nested too deep"}
    except Exception as error:  # noqa: BLE001  a template may raise anything; its values are not for the log
        return {"error": type(error).__name__}


def serve(read: BinaryIO, write: BinaryIO) -> None:
    """Answer requests until the parent closes its end."""
    bench = Bench()
    while (size := read.read(4)) and len(size) == 4:
        request = json.loads(read.read(int.from_bytes(size, "big")))
        say = Mouth(write)
        for key, sources in request["load"].items():
            say(answer(bench.load, key, sources))
        say.flush()
        allow_time(SECONDS)
        for key, variables in request["jobs"]:
            say(answer(bench.render, key, variables))
        say.flush()


class Mouth:
    """Says answers, several at once when they come fast: waking the parent costs more than a rendering. Also lets
    the processor kill us when one message takes much longer than it may, should the parent be gone."""

    def __init__(self, write: BinaryIO) -> None:
        self._write, self._held, self._since = write, bytearray(), monotonic()

    def __call__(self, what: dict[str, Any]) -> None:
        body = _written(what).encode("utf-8", "replace")
        self._held += len(body).to_bytes(4, "big") + body
        if "gone" in what:
            self.flush()
            sys.exit(1)
        if monotonic() - self._since > HOLD:
            self.flush()
            allow_time(SECONDS)

    def flush(self) -> None:
        self._write.write(self._held)
        self._write.flush()
        self._held, self._since = bytearray(), monotonic()


def _written(what: dict[str, Any]) -> str:
    """An answer as the frame's text: long texts as they are, since to quote and to read them again costs as much as to
    render."""
    parts = what.get("done")
    if not parts:
        return _ENCODE(what)
    return "\n".join([_ENCODE({"done": {name: len(text) for name, text in parts.items()}}), "".join(parts.values())])


_ENCODE = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def _warm_up() -> None:
    """Go every way once, the failing one too, while modules can still be imported."""
    bench = Bench()
    for html in (True, False):
        bench.load("warm", {"text": (html, WARM)})
        answer(bench.render, "warm", {"xs": ["é"]})
    answer(bench.load, "warm", {"text": (True, "{{ a( }}")})


def main() -> None:
    """Entry of the process."""
    read_zones()
    _warm_up()
    close_doors(MEMORY)
    say = Mouth(sys.stdout.buffer)
    say({"ready": True})
    say.flush()
    serve(sys.stdin.buffer, sys.stdout.buffer)
