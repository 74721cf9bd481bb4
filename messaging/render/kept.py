"""The handle of the kept child: one per process, started at first need, killed and replaced when it misbehaves."""

from __future__ import annotations

import atexit
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import jinja2
import markupsafe
import tzdata  # type: ignore[import-untyped]

from messaging.render.cell.limits import SECONDS
from messaging.render.process import Died, Process

HERE = Path(__file__).resolve().parent
LIBRARIES = sorted({str(Path(str(module.__file__)).parent.parent) for module in (jinja2, markupsafe, tzdata)})
PATHS = [str(HERE), str(HERE.parent.parent), *LIBRARIES]
START = "import sys; sys.path += sys.argv[1:]; from cell.child import main; main()"
BUDGET = 15.0  # seconds that one call may spend on stopping and starting children; what is left comes later
KEPT = 200  # compiled (version, locale) pairs, then the child is replaced


Job = tuple[str, str]  # source key, variables as JSON text


@dataclass(frozen=True)
class Source:
    """What the child compiles once: `parts` by name with whether they are HTML; `key` is a hash of them."""

    key: str
    parts: Mapping[str, tuple[bool, str]]


class Child(Process):
    """One running renderer, and what it has compiled."""

    def __init__(self) -> None:
        super().__init__(START, PATHS)
        self.loaded: set[str] = set()
        self.refused: dict[str, str] = {}

    def ask(self, sources: Sequence[Source], jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
        """Send one request; yields one answer per job as it comes. Raises Died, at the job that was at work."""
        new = [source for source in sources if source.key not in self.loaded]
        load = json.dumps({source.key: source.parts for source in new}, ensure_ascii=False)
        asked = ",".join([f'["{key}",{variables}]' for key, variables in jobs])
        self.tell(f'{{"load":{load},"jobs":[{asked}]}}', SECONDS)
        for source in new:
            said = self.hear(SECONDS)
            self.loaded.add(source.key)
            if "error" in said:
                self.refused[source.key] = said["error"]
        for _ in jobs:
            yield _read(str(self.frame(SECONDS), "utf-8"))


def _read(text: str) -> dict[str, Any]:
    """An answer; the parts of a message stand behind their lengths. Raises Died or ValueError when they do not fit:
    then who says so is no longer ours."""
    end = text.find("\n")
    said: dict[str, Any] = json.loads(text if end < 0 else text[:end])
    if end < 0 or "done" not in said:
        return said
    parts, at = {}, end + 1
    for name, length in dict(said["done"]).items():
        if type(length) is not int or not 0 <= length <= len(text) - at:
            raise Died("answered less than it said")
        parts[name] = text[at : at + length]
        at += length
    if at != len(text):
        raise Died("answered more than it said")
    return {"done": parts}


_lock = threading.Lock()
_child: Child | None = None
Answer = dict[str, Any]
LATER: Answer = {"error": "the renderer had no time left", "later": True}


def render(sources: Mapping[str, Source], jobs: Sequence[Job]) -> list[Answer]:
    """An answer {"done": parts} or {"error": words} per job, in order; with "later" the
    error says nothing about the job.

    The group goes as one request. If the child dies or takes too long, the group is rendered one by one, each
    guilty message costing its own child, so that no message fails for another's sake.
    """
    with _lock:
        answers = _together(sources, jobs)
        if answers is not None:
            return answers
        end = monotonic() + BUDGET
        return [_alone(sources, job) if monotonic() < end else LATER for job in jobs]


def close() -> None:
    """End the child of this process; the next rendering starts another."""
    global _child
    with _lock:
        if _child is not None:
            _child.kill()
            _child = None


def pid() -> int | None:
    """The child's process id, if there is one."""
    return _child.pid if _child is not None else None


def _together(sources: Mapping[str, Source], jobs: Sequence[Job]) -> list[Answer] | None:
    child = _running()
    try:
        return _told(child, list(child.ask(list(sources.values()), jobs)), jobs)
    except (Died, ValueError, TypeError):
        close_unlocked()
        return None


def _alone(sources: Mapping[str, Source], job: Job) -> Answer:
    child = _running()
    try:
        return _told(child, list(child.ask([sources[job[0]]], [job])), [job])[0]
    except (Died, ValueError, TypeError) as error:
        close_unlocked()
        return {"error": f"the renderer {error} and was stopped"}


def _told(child: Child, answers: list[Answer], jobs: Sequence[Job]) -> list[Answer]:
    """A source that was refused answers for its jobs."""
    return [
        {"error": child.refused[key]} if key in child.refused else answer
        for answer, (key, _) in zip(answers, jobs, strict=True)
    ]


def _running() -> Child:
    global _child
    if _child is not None and len(_child.loaded) >= KEPT:
        close_unlocked()
    if _child is None:
        _child = Child()
    return _child


def close_unlocked() -> None:
    """As `close`, for who holds the lock."""
    global _child
    if _child is not None:
        _child.kill()
        _child = None


def _after_fork() -> None:
    """A forked process starts its own child: two readers of one pipe would take each other's answers."""
    global _child, _lock
    if _child is not None:
        _child.forget()
    _child, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)
