"""A PostgreSQL server of a test's own, which it may crash as it likes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.harness import free_port

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"), key=lambda path: path.parent.name)


@dataclass
class Server:
    """A running server: its folder and port."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def restart(self, how: str = "immediate") -> None:
        """Crash (immediate) or close (fast) it and start it again."""
        self.control("restart", "-m", how)

    def control(self, *words: str) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=on"
        log = str(self.folder / "log")
        _run(str(BIN / "pg_ctl"), "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", *words)


@contextmanager
def own_postgres() -> Iterator[Server]:
    """Start one in a folder of its own; it is stopped and removed afterwards."""
    folder = Path(mkdtemp(prefix="perennial-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(folder, free_port())
    try:
        _run(
            str(BIN / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        server.control("start")
        yield server
    finally:
        server.control("stop", "-m", "immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: str) -> None:
    """As the user postgres, since the server refuses root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*prefix, *command], cwd="/", env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
