"""The stage of a bench: databases made once, copied for each act, dropped afterwards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
OWN = urlsplit(os.environ["DATABASE_URL"]).path.lstrip("/")  # whatever database is current later


def prepare() -> None:
    """Make the bench's database from nothing and migrate it; then Django is ready."""
    _administer(f'DROP DATABASE IF EXISTS "{OWN}" WITH (FORCE)', f'CREATE DATABASE "{OWN}"')
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def populated(people: int, events: int) -> str:
    """The name of a database that holds such a population, made at its first use and kept for later runs."""
    from django.core.management import call_command

    from bench import data

    made_by = hashlib.md5(Path(data.__file__).read_bytes(), usedforsecurity=False).hexdigest()[:6]
    name = f"{OWN}_{people}_{events}_{made_by}"
    if not _exists(name):
        from bench.data import populate

        raw = f"{name}_raw"
        _administer(f'DROP DATABASE IF EXISTS "{raw}" WITH (FORCE)', f'CREATE DATABASE "{raw}"')
        with using(raw):
            call_command("migrate", verbosity=0)
            populate(people, events)
        _administer(f'ALTER DATABASE "{raw}" RENAME TO "{name}"')
    with using(name):
        call_command("migrate", verbosity=0)  # it may have been made before the latest migration
    return name


@contextmanager
def copy_of(template: str) -> Iterator[str]:
    """A fresh copy of a database for one act, current while it lasts, then dropped."""
    name = f"{template}_act"
    _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        with using(name):
            yield name
    finally:
        _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def using(name: str) -> Iterator[None]:
    """Make `name` the current database of this process and of the processes it starts."""
    from django.db import connection

    before, url = connection.settings_dict["NAME"], os.environ["DATABASE_URL"]
    connection.close()
    connection.settings_dict["NAME"] = name
    os.environ["DATABASE_URL"] = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
        os.environ["DATABASE_URL"] = url


@contextmanager
def beside(what: str) -> Iterator[str]:
    """The name of an empty database beside the bench's own, dropped afterwards."""
    name = f"{OWN}_{what}"
    _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    try:
        yield name
    finally:
        _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _exists(name: str) -> bool:
    return bool(_ask("SELECT 1 FROM pg_database WHERE datname = %s", [name]))


def _administer(*statements: str) -> None:
    for statement in statements:
        _ask(statement)


def _ask(statement: str, values: list[str] | None = None) -> list[tuple[object, ...]]:
    import psycopg

    url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path="/postgres", scheme="postgresql"))
    with psycopg.connect(url, autocommit=True) as link:
        cursor = link.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
