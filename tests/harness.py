"""A whole installation for one test: its own database, broker, web, workers, beats and mail server.

    def test_it(cluster):
        cluster.start_web(); cluster.start_worker(); cluster.start_beat()
        account = cluster.mail_account()
        ...
        wait_until(lambda: cluster.mails(), seconds=20)

The test's own process is connected to the same database (plain ORM), every child has its own environment, all
listen on free loopback ports, and only processes started here are ended here.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from django.db import connections

from config import run

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
SERVER = os.environ.get("DATABASE_URL", "")
BROKER = os.environ.get("CELERY_BROKER_URL", "")


def wait_until(look: Callable[[], T], *, seconds: float = 20, every: float = 0.1, what: str = "") -> T:
    """Call `look` until it returns something true, which is returned; fail after `seconds`."""
    limit = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > limit:
            pytest.fail(f"not within {seconds:g} s: {what or getattr(look, '__name__', 'condition')}")
        time.sleep(every)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Process:
    """One child of a cluster; `log` is the file that holds its output."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: int) -> None:
        """Signal this process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it and all that it started at once, as a crash would; a stopped one as well."""
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def end(self, *, seconds: float = 10) -> None:
        """Ask it to end; kill it if it takes longer."""
        if self.alive():
            self.popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        self.kill()


@dataclass
class Cluster:
    """An installation under `folder`; `environ` is added to every child's environment."""

    folder: Path
    database_url: str
    broker_url: str
    environ: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    web_port: int = field(default_factory=free_port)
    smtp_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def sink_file(self) -> Path:
        return self.folder / "sink.jsonl"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a child sees: nothing of the test run's own variables, everything of this cluster's."""
        ours = ("PERENNIAL_", "PYTEST_", "CELERY_", "DATABASE_URL", "COV_")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        return {
            **clean,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": self.database_url,
            "CELERY_BROKER_URL": self.broker_url,
            "PERENNIAL_VAR": str(self.folder / "var"),
            "PUBLIC_URL": self.url,
            "PYTHONPATH": str(ROOT),
            "LOG_LEVEL": "INFO",
            **self.environ,
            **(extra or {}),
        }

    def start(self, name: str, command: list[str], *, environ: Mapping[str, str] | None = None) -> Process:
        """Start a child in a session of its own, with its output in logs/NAME.log."""
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as out:
            popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment(environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def start_web(self) -> Process:
        """The production web server; returns when it answers."""
        process = self._start_part("web", "web", {})
        wait_until(lambda: self._answers(process), seconds=30, what="web answers")
        return process

    def start_worker(self, number: int = 1, *, faults: str = "", concurrency: int = 2) -> Process:
        """A real Celery worker; `faults` as in tests.faults."""
        return self._start_part("worker", f"worker{number}", {"PERENNIAL_FAULTS": faults}, concurrency=concurrency)

    def start_beat(self, number: int = 1) -> Process:
        return self._start_part("beat", f"beat{number}", {})

    def start_sink(self) -> Process:
        """The witness (tests.sink) on `smtp_port`; returns when it listens."""
        self.sink_file.touch()
        command = [sys.executable, "-m", "tests.sink", str(self.smtp_port), str(self.sink_file)]
        process = self.start("sink", command)
        wait_until(lambda: listens(self.smtp_port), what="the sink listens")
        return process

    def start_all(self) -> None:
        """Sink, web, one worker (two processes) and one beat."""
        self.start_sink()
        self.start_web()
        self.start_worker()
        self.start_beat()

    def manage(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run manage.py in the cluster's environment and return what it said."""
        command = [sys.executable, "manage.py", *args]
        done = subprocess.run(command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{args}: {done.stdout}\n{done.stderr}"
        return done

    def client(self) -> httpx.Client:
        """An HTTP client at the cluster's address."""
        return httpx.Client(base_url=self.url, timeout=20)

    def mail_account(self, **fields: Any) -> Any:
        """The default e-mail Account, pointing at the sink (start_sink starts it)."""
        from messaging.models import Account

        values = {
            "key": "sink",
            "name": "Sink",
            "channel": "email",
            "transport": "smtp",
            "settings": {"host": "127.0.0.1", "port": self.smtp_port},
            "sender": "Perennial <shop@example.com>",
            "is_default": True,
            **fields,
        }
        return Account.objects.create(**values)

    def mails(self, to: str = "") -> list[dict[str, Any]]:
        """What the witness recorded, oldest first: at, to, message_id, headers, digest, raw."""
        if not self.sink_file.exists():
            return []
        lines = [json.loads(line) for line in self.sink_file.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if not to or to in line["to"]]

    def log(self, name: str) -> str:
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End every child, newest first."""
        for process in reversed(self.processes):
            process.end()

    def _start_part(self, part: str, name: str, environ: Mapping[str, str], *, concurrency: int = 2) -> Process:
        made = run.parts(host="127.0.0.1", port=self.web_port, threads=4, concurrency=concurrency)
        command = next(list(one.command) for one in made if one.name == part)
        command = [word.replace(f"worker-{self.web_port}@", f"{name}-{self.web_port}@") for word in command]
        return self.start(name, command, environ=environ)

    def _answers(self, process: Process) -> bool:
        assert process.alive(), process.log.read_text(errors="replace")[-3000:]
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture
def cluster(tmp_path: Path, django_db_blocker: Any) -> Iterator[Cluster]:
    """A fresh installation, schema in place, nothing started; the test's ORM works on its database."""
    with database(tmp_path) as (url, settings):
        made = Cluster(tmp_path, url, broker(), {"PERENNIAL_DAY_SECONDS": "2", "PERENNIAL_OUTBOX_LEASE_SECONDS": "3"})
        with django_db_blocker.unblock(), attached(settings):
            try:
                yield made
            finally:
                made.stop()


def broker() -> str:
    """The broker of this run: files, or this test process's own Redis database, emptied."""
    if not BROKER.startswith("redis"):
        return "filesystem://"
    import redis

    redis.Redis.from_url(BROKER).flushdb()
    return BROKER


@contextmanager
def database(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A migrated database of its own, as a URL and as the fields of Django's DATABASES that differ."""
    if not SERVER.startswith("postgres"):
        file = folder / "cluster.sqlite3"
        shutil.copy(_sqlite_template(), file)
        yield f"sqlite:///{file}", {"NAME": str(file)}
        return
    name, template = f"cluster_{uuid.uuid4().hex[:12]}", _postgres_template()
    _admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield _with_name(name), {"NAME": name}
    finally:
        _admin(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def attached(settings: Mapping[str, Any]) -> Iterator[None]:
    """Point this process's default connection at another database for a while."""
    before, old = connections.databases["default"], connections["default"]
    connections.databases["default"] = {**copy.deepcopy(before), **settings}
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.databases["default"] = before
        connections["default"] = old


@cache
def _sqlite_template() -> Path:
    """One migrated file for the whole run, in the run's own folder."""
    file = Path(os.environ["PERENNIAL_VAR"]) / "template.sqlite3"
    _migrate(f"sqlite:///{file}")
    return file


@cache
def _postgres_template() -> str:
    """One migrated database for the whole run, dropped at its end."""
    import atexit

    name = f"template_{uuid.uuid4().hex[:12]}"
    _admin(f'CREATE DATABASE "{name}"')
    atexit.register(_admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    _migrate(_with_name(name))
    return name


def _migrate(url: str) -> None:
    environ = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "manage.py", "migrate", "-v0"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def _with_name(name: str) -> str:
    return urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))


def _admin(statement: str) -> None:
    """Run one statement on the server's maintenance database, outside any transaction."""
    import psycopg

    with psycopg.connect(_with_name("postgres"), autocommit=True) as wire:
        wire.execute(statement)
