"""What is wrong with this installation and how to mend it, as findings with ids (docs/checks.md explains each)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Min
from django.utils.translation import gettext as _

from common import clock, heartbeat, ticks

OVERDUE = timedelta(minutes=5)
HOLDER = timedelta(seconds=60)
SKEW = timedelta(seconds=5)
QUIET = timedelta(seconds=45)
FREE_BYTES = 500 * 1024 * 1024


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


@dataclass(frozen=True)
class Exam:
    """One look: `slow` ones are left out of the health view, which is asked every few seconds."""

    id: str
    look: Callable[[datetime], Iterator[Finding]]
    slow: bool


EXAMS: list[Exam] = []


def exam(id: str, *, slow: bool = False) -> Callable[[Callable[[datetime], Iterator[Finding]]], Any]:  # noqa: A002
    """File a function that yields findings under its id; it is handed the database's time."""

    def file_under(look: Callable[[datetime], Iterator[Finding]]) -> Any:
        EXAMS.append(Exam(id, look, slow))
        return look

    return file_under


def examine(*, slow: bool = False) -> list[Finding]:
    """Every finding that is not green. An unreachable database is the only finding when it occurs."""
    try:
        at = clock.database_now()
        connection.ensure_connection()
    except DatabaseError as error:
        return [red("P001", _("the database does not answer: %s") % error, _("start it, or mend DATABASE_URL"))]
    found: list[Finding] = []
    for one in EXAMS:
        if slow or not one.slow:
            found += _look(one, at)
    return found


def _look(one: Exam, at: datetime) -> list[Finding]:
    try:
        return list(one.look(at))
    except DatabaseError as error:
        connection.close()
        return [Finding(one.id, "red", str(error).strip(), _("apply the migrations: manage.py migrate"))]


@exam("P002", slow=True)
def migrations(at: datetime) -> Iterator[Finding]:
    """Whether the schema is the code's."""
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        yield red("P002", _("%d migrations are not applied") % len(waiting), "manage.py migrate")


@exam("P003")
def durability(at: datetime) -> Iterator[Finding]:
    """Whether a commit survives a crash: the marker before the first byte depends on it."""
    postgres = clock.is_postgres()
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit" if postgres else "PRAGMA synchronous")
        kept = str(cursor.fetchone()[0])
        journal = "" if postgres else _pragma(cursor, "journal_mode")
    if kept in ("off", "0", "1"):
        yield Finding(
            "P003", "red", _("commits are not durable (synchronous: %s)") % kept, _("set it on (SQLite: FULL)")
        )
    if journal not in ("", "wal", "memory"):
        yield amber("P003", _("SQLite's journal is '%s', not WAL") % journal, "PRAGMA journal_mode=WAL")


def _pragma(cursor: Any, name: str) -> str:
    cursor.execute(f"PRAGMA {name}")
    return str(cursor.fetchone()[0])


@exam("P004")
def skew(at: datetime) -> Iterator[Finding]:
    """Whether this machine's clock and the database's agree; leases and slots use the latter alone."""
    off = abs(clock.now() - at)
    if off > SKEW:
        text = _("this machine's clock differs from the database's by %d s") % off.total_seconds()
        yield amber("P004", text, _("set both by NTP"))


@exam("P005", slow=True)
def broker(at: datetime) -> Iterator[Finding]:
    """Whether hints can be sent; without them nothing starts, though nothing is lost."""
    from config.celery import app

    try:
        with app.connection_for_write(connect_timeout=2) as wire:
            wire.ensure_connection(max_retries=1, timeout=2)
            _ = wire.default_channel
    except Exception as error:  # noqa: BLE001 - any driver's own error means the same: no broker
        text = _("the broker does not answer: %s") % type(error).__name__
        yield red("P005", text, _("start it, or mend CELERY_BROKER_URL"))


@exam("P006")
def workers(at: datetime) -> Iterator[Finding]:
    """Whether a worker gave a sign of life within the last 45 seconds."""
    if not heartbeat.alive("worker", at=at):
        yield red("P006", _("no worker is alive"), "manage.py run")


@exam("P007")
def beats(at: datetime) -> Iterator[Finding]:
    """Whether a beat's loop turned within the last 45 seconds. More than one does no harm."""
    if not heartbeat.alive("beat", at=at):
        yield Finding("P007", "red", _("no beat is alive: nothing starts by itself"), "manage.py run")


@exam("P008")
def slots(at: datetime) -> Iterator[Finding]:
    """Whether every enabled line of the timetable ran lately: a worker may be alive and still not consume."""
    from config.beat import enabled_intervals

    late = []
    for name, every in enabled_intervals().items():
        age = ticks.age(name, at=at)
        if age is None and every < QUIET.total_seconds():
            late.append(_("%s never") % name)
        elif age is not None and age > max(QUIET, timedelta(seconds=3 * every)):
            late.append(_("%(name)s %(age)d s ago") % {"name": name, "age": age.total_seconds()})
    if late:
        text = _("the timetable is not being worked off: %s") % ", ".join(late)
        yield red("P008", text, _("restart worker and beat; look at the log of the worker"))


@exam("P009")
def due(at: datetime) -> Iterator[Finding]:
    """How old the oldest message is that should have been sent."""
    from messaging.models import Delivery

    oldest = Delivery.objects.filter(state="planned", not_before__lte=at).aggregate(v=Min("not_before"))["v"]
    if oldest and at - oldest > OVERDUE:
        text = _("the oldest due message has waited %d min") % ((at - oldest).total_seconds() // 60)
        yield red("P009", text, _("look for pauses, accounts that are held, and the worker's log"))


@exam("P010")
def holders(at: datetime) -> Iterator[Finding]:
    """Who keeps a transaction open in PostgreSQL: while it is, no reader of facts passes it."""
    if not clock.is_postgres():
        return
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [HOLDER.total_seconds()])
        rows = cursor.fetchall()
    for pid, who, seconds, state in rows:
        values = {"pid": pid, "who": who, "age": seconds, "state": state}
        text = _("process %(pid)s (%(who)s, %(state)s) has held a transaction open for %(age)d s") % values
        yield red("P010", text, f"SELECT pg_terminate_backend({pid})")


HOLDERS = """
SELECT pid, concat_ws('/', datname, usename, nullif(application_name, '')),
       extract(epoch FROM clock_timestamp() - xact_start), coalesce(state, backend_type)
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_xid IS NOT NULL
  AND clock_timestamp() - xact_start > make_interval(secs => %s)
UNION ALL
SELECT 0, concat_ws('/', database, owner, gid), extract(epoch FROM clock_timestamp() - prepared), 'prepared'
FROM pg_prepared_xacts
ORDER BY 3 DESC
"""


@exam("P011")
def keys(at: datetime) -> Iterator[Finding]:
    """Whether links are signed with a key that anybody can read in the source."""
    from config.checks import default_keys, is_public

    for name in default_keys():
        level = "red" if is_public() else "amber"
        yield Finding("P011", level, _("%s is the default that everybody knows") % name, _("set it, or NAME_FILE"))


@exam("P012")
def accounts(at: datetime) -> Iterator[Finding]:
    """Whether there is a sender at all, and which of them are being held back."""
    from messaging.models import Account

    rows = list(Account.objects.filter(active=True))
    if not rows:
        yield amber("P012", _("no account is active: nothing can be sent"), "/admin/messaging/account/add/")
    for row in rows:
        if row.open_until and row.open_until > at:
            text = _("account %(key)s is held after %(n)d errors in a row") % {"key": row.key, "n": row.errors}
            yield amber("P012", text, _("it tries again by itself; look at the provider's answers"))


@exam("P013")
def segments(at: datetime) -> Iterator[Finding]:
    """Segments that could not be refreshed, or have not been for a quarter of an hour."""
    from segments.models import Segment

    for row in Segment.objects.filter(state="active"):
        if row.last_error:
            yield amber("P013", f"{row.key}: {row.last_error[:200]}", _("mend the rule of the segment"))
        elif row.refreshed_at is None or at - row.refreshed_at > timedelta(minutes=15):
            yield amber("P013", _("segment %s is out of date") % row.key, _("look at the worker's log"))


@exam("P014")
def doubt(at: datetime) -> Iterator[Finding]:
    """Messages of which nobody knows whether they arrived."""
    from messaging.models import Delivery

    count = Delivery.objects.filter(state="in_doubt").count()
    if count:
        yield Finding(
            "P014",
            "amber",
            _("%d messages are in doubt") % count,
            _("they settle by proof or by age; see docs/delivery.md"),
        )


@exam("P015")
def parked(at: datetime) -> Iterator[Finding]:
    """Work that was set aside because it failed for good."""
    from common.models import Parked

    count = Parked.objects.filter(resolved_at=None).count()
    if count:
        yield amber("P015", _("%d items are parked") % count, "/admin/common/parked/")


@exam("P016")
def stamp(at: datetime) -> Iterator[Finding]:
    """Whether this database belongs to this installation, or was copied from another one."""
    from config.instance import stranger

    other = stranger()
    if other:
        text = _("this database belongs to installation '%s'; sending is paused") % other
        yield red("P016", text, "manage.py doctor --adopt")


@exam("P017")
def space(at: datetime) -> Iterator[Finding]:
    """Free space where queue, imports and (embedded) the database lie."""
    import shutil

    free = shutil.disk_usage(settings.VAR).free
    if free < FREE_BYTES:
        yield red("P017", _("only %d MB are free") % (free // 2**20), _("make room under %s") % settings.VAR)


@exam("P018")
def books(at: datetime) -> Iterator[Finding]:
    """Whether the ledger of messages agrees with itself, as it was counted last."""
    from messaging.outbox.books import is_due, standing

    alarms, last = standing(at)
    for row in alarms:
        codes = ", ".join(f"{one['code']} {one['count']}" for one in row.findings)
        text = _("the books of %(day)s do not fit: %(codes)s") % {"day": row.day.isoformat(), "codes": codes}
        yield red("P018", text, "/admin/messaging/reconciliation/")
    if is_due(last, at):
        yield amber("P018", _("the ledger of messages has not been counted for two days"), _("read the worker's log"))
