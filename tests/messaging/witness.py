"""The mail server of these tests: a process that writes down what it accepted before it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness import ROOT, free_port, listens, wait_until


@dataclass
class Witness:
    """A running mail server and its record."""

    port: int
    file: Path
    process: subprocess.Popen[bytes]

    def mails(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def recipients(self) -> list[str]:
        """Who has mail, sorted; twice when twice."""
        return sorted(mail["to"][0] for mail in self.mails())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def witness(folder: Path, port: int = 0) -> Iterator[Witness]:
    """Start it on a free (or the given) port; it is ended afterwards."""
    port = port or free_port()
    file = folder / "witness.jsonl"
    file.touch()
    process = subprocess.Popen([sys.executable, "-m", "tests.sink", str(port), str(file)], cwd=ROOT)
    running = Witness(port, file, process)
    try:
        wait_until(lambda: listens(port), what="the witness listens")
        yield running
    finally:
        running.end()
