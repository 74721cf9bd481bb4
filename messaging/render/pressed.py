"""The handle of the press: one per process, started at first need, killed and replaced when it misbehaves."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from messaging.render.cell.limits import PRESS_PATIENCE
from messaging.render.press.contract import Kind, Page
from messaging.render.process import Died, Process

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("css_inline", "inscriptis", "jinja2", "lxml", "markupsafe", "mrml", "selectolax")
# Our own packages without what their __init__ imports: the press knows no Django.
START = """
import sys, types
sys.path += sys.argv[1:]
for name in ("messaging", "messaging.render"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [sys.argv[1] + "/" + name.replace(".", "/")]
from messaging.render.press.child import main
main()
"""


def _libraries() -> list[str]:
    """Where the tools are installed, found without loading them."""
    specs = [importlib.util.find_spec(name) for name in TOOLS]
    return sorted({str(Path(str(spec.origin)).parent.parent) for spec in specs if spec is not None})


_lock = threading.Lock()
_press: Process | None = None


def build(sources: Mapping[str, str], kind: Kind) -> Page:
    """Work one locale's sources into frozen parts. What is wrong with any of them is in `faults` as (part, message):
    a part that the press does not survive is named too, and the others are worked without it."""
    with _lock:
        try:
            return _ask(sources, kind)
        except Died as error:
            return _apart(sources, kind, error)


def _apart(sources: Mapping[str, str], kind: Kind, error: Died) -> Page:
    """Find the guilty parts, each alone; the page is made of the rest."""
    guilty = {}
    for part, text in sources.items():
        try:
            _ask({part: text}, kind)
        except Died as why:
            guilty[part] = f"working it {why} and was stopped"
    rest = {part: text for part, text in sources.items() if part not in guilty}
    try:
        page = _ask(rest, kind) if guilty else Page()
    except Died as why:
        page, error = Page(), why
    page.faults += list(guilty.items()) or [(next(iter(sources), ""), f"working it {error} and was stopped")]
    return page


def _ask(sources: Mapping[str, str], kind: Kind) -> Page:
    """One request. Raises Died, and the press is gone."""
    global _press
    if _press is None:
        _press = Process(START, [str(ROOT), *_libraries()])
    request = {
        "sources": dict(sources),
        "html": sorted(kind.html),
        "opens": kind.opens,
        "brand_url": kind.brand_url,
        "locale": kind.locale,
    }
    try:
        _press.tell(json.dumps(request, ensure_ascii=False), PRESS_PATIENCE)
        said = _press.hear(PRESS_PATIENCE)
    except (Died, ValueError) as error:
        _close()
        raise error if isinstance(error, Died) else Died("answered nonsense") from None
    if "error" in said:
        return Page(faults=[(part, said["error"]) for part in sources])
    return Page.of_json(said)


def close() -> None:
    """End the press of this process; the next page starts another."""
    with _lock:
        _close()


def pid() -> int | None:
    """The process id of the press, if there is one."""
    return _press.pid if _press is not None else None


def _close() -> None:
    global _press
    if _press is not None:
        _press.kill()
        _press = None


def _after_fork() -> None:
    global _press, _lock
    if _press is not None:
        _press.forget()
    _press, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)
