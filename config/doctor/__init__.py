"""What is wrong with this installation and how to mend it, as findings with ids (docs/checks.md explains each).

Each module here is one exam: a function that looks at one thing and yields what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import DatabaseError, connection
from django.utils.translation import gettext as _

from common import clock
from common.registry import Registry


@dataclass(frozen=True)
class Finding:
    """One thing found. `level` is red (it does not work), amber (it will not stay well) or green."""

    id: str
    level: str
    text: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    def line(self) -> str:
        """ "red    P006  no worker … → start one"."""
        return f"{self.level:<6} {self.id}  {self.text}" + (f" → {self.mend}" if self.mend else "")


def red(id: str, text: str, mend: str = "") -> Finding:  # noqa: A002
    return Finding(id, "red", text, mend)


def amber(id: str, text: str, mend: str = "") -> Finding:  # noqa: A002
    return Finding(id, "amber", text, mend)


Look = Callable[[datetime], Iterator[Finding]]


@dataclass(frozen=True)
class Exam:
    """One look: `slow` ones are left out of the health view, which is asked every few seconds."""

    id: str
    look: Look
    slow: bool


exams: Registry[Exam] = Registry("exams", "config.doctor")


def exam(id: str, *, slow: bool = False) -> Callable[[Look], Look]:  # noqa: A002
    """File a function that yields findings under its id; it is handed the database's time."""

    def file_under(look: Look) -> Look:
        exams.add(id, Exam(id, look, slow))
        return look

    return file_under


def examine(*, slow: bool = False) -> list[Finding]:
    """Every finding that is not green, by id. An unreachable database is the only finding when it occurs."""
    try:
        at = clock.database_now()
        connection.ensure_connection()
    except DatabaseError as error:
        return [red("P001", _("the database does not answer: %s") % error, _("start it, or mend DATABASE_URL"))]
    looks = sorted((one for one in exams if slow or not one.slow), key=lambda one: one.id)
    return [finding for one in looks for finding in _look(one, at)]


def _look(one: Exam, at: datetime) -> list[Finding]:
    try:
        return list(one.look(at))
    except DatabaseError as error:
        connection.close()
        return [red(one.id, str(error).strip(), _("apply the migrations: manage.py migrate"))]
