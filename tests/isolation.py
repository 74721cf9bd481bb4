"""Give every test process its own seed, var folder, broker and database server before Django reads its settings.

A pytest plugin named in pyproject.toml: a conftest would be read too late. The controller of pytest-xdist
draws the seed and makes the folder; its workers inherit both and take a share each. Two workers on one PostgreSQL
server would wait for each other's transactions (no reader of the log passes an open one): PERENNIAL_PORTS lists the
ports of as many servers as there are workers.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import tempfile
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

REDIS_DATABASES = 16  # the number a stock Redis offers


def isolate(environ: MutableMapping[str, str]) -> None:
    """Set PERENNIAL_SEED, PERENNIAL_VAR, CELERY_BROKER_URL and DATABASE_URL for this process in `environ`."""
    worker = environ.get("PYTEST_XDIST_WORKER", "main")
    environ.setdefault("PERENNIAL_SEED", str(random.SystemRandom().randrange(2**32)))
    if "PERENNIAL_TEST_ROOT" not in environ:
        environ["PERENNIAL_TEST_ROOT"] = _make_root()
    var = Path(environ["PERENNIAL_TEST_ROOT"]) / worker
    var.mkdir(parents=True, exist_ok=True)
    environ["PERENNIAL_VAR"] = str(var)
    broker = environ.get("CELERY_BROKER_URL", "")
    if broker.startswith(("redis://", "rediss://")):
        environ["CELERY_BROKER_URL"] = redis_share(broker, worker)
    if ports := environ.get("PERENNIAL_PORTS", "").split():
        environ["DATABASE_URL"] = server_share(environ["DATABASE_URL"], worker, ports)


def redis_share(url: str, worker: str) -> str:
    """Return `url` with the Redis database moved on by the worker's number: gw0 keeps it, gw1 takes the next."""
    parts = urlsplit(url)
    database = (int(parts.path.strip("/") or 0) + _number(worker)) % REDIS_DATABASES
    return urlunsplit(parts._replace(path=f"/{database}"))


def server_share(url: str, worker: str, ports: Sequence[str]) -> str:
    """Return `url` with the port of the worker's own server. Raises IndexError when there are fewer than workers."""
    parts = urlsplit(url)
    place, _, _ = parts.netloc.rpartition(":") if parts.port else (parts.netloc, "", "")
    return urlunsplit(parts._replace(netloc=f"{place}:{ports[_number(worker)]}"))


def _number(worker: str) -> int:
    return int(worker.removeprefix("gw")) if worker.startswith("gw") else 0


def _make_root() -> str:
    root, owner = tempfile.mkdtemp(prefix="perennial-tests-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked child must not take the folder from its parent
            shutil.rmtree(root, ignore_errors=True)

    atexit.register(remove)
    return root


isolate(os.environ)
