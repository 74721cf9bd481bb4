"""Give every test process its own seed, var folder and broker before Django reads its settings.

A pytest plugin named in pyproject.toml: a conftest would be read too late. The controller of pytest-xdist
draws the seed and makes the folder; its workers inherit both and take a share each.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

REDIS_DATABASES = 16  # the number a stock Redis offers


def isolate(environ: MutableMapping[str, str]) -> None:
    """Set PERENNIAL_SEED, PERENNIAL_VAR and CELERY_BROKER_URL for this process in `environ`."""
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


def redis_share(url: str, worker: str) -> str:
    """Return `url` with the Redis database moved on by the worker's number: gw0 keeps it, gw1 takes the next."""
    step = int(worker.removeprefix("gw")) if worker.startswith("gw") else 0
    parts = urlsplit(url)
    database = (int(parts.path.strip("/") or 0) + step) % REDIS_DATABASES
    return urlunsplit(parts._replace(path=f"/{database}"))


def _make_root() -> str:
    root, owner = tempfile.mkdtemp(prefix="perennial-tests-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked child must not take the folder from its parent
            shutil.rmtree(root, ignore_errors=True)

    atexit.register(remove)
    return root


isolate(os.environ)
