"""The few statements that move rows of the ledger in bulk, each by lease token and state: the rows it returns
are the ones it won. PostgreSQL takes arrays (one text, so it is prepared once); SQLite takes the rows one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, models
from django.db.models.expressions import Func
from django.db.models.sql.compiler import SQLCompiler

from common.clock import database_now, is_postgres
from common.semijoin import array_of
from messaging.models import Delivery


def lease_length() -> timedelta:
    """How long a claim holds without a sign of life."""
    return timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)


class DatabaseNow(Func):
    """The database's wall clock, plus a duration; SQLite has no other clock than ours."""

    output_field = models.DateTimeField()

    def __init__(self, plus: timedelta = timedelta(0)) -> None:
        super().__init__()
        self._plus = plus

    def as_sql(self, compiler: SQLCompiler, conn: Any, **extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        if conn.vendor == "postgresql":
            return "(clock_timestamp() + %s * interval '1 second')", [self._plus.total_seconds()]
        return "%s", [conn.ops.adapt_datetimefield_value(database_now() + self._plus)]


class Change(NamedTuple):
    """What a row becomes. None keeps `not_before` and `sent_at`; `unsent` empties the latter."""

    id: int
    state: str
    reason: str = ""
    not_before: datetime | None = None
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    unsent: bool = False
    ghost: bool = False
    claims: int = 0
    reached: int = 0


_FIELDS = (
    ("id", "bigint"), ("state", "text"), ("reason", "text"), ("not_before", "timestamptz"),
    ("sent_at", "timestamptz"), ("settled_at", "timestamptz"), ("unsent", "boolean"), ("ghost", "boolean"),
    ("claims", "smallint"), ("reached", "smallint"),
)  # fmt: skip
_SET = (
    "state = {v}state, reason = {v}reason, not_before = COALESCE({v}not_before, d.not_before),"
    " sent_at = CASE WHEN {v}unsent THEN NULL ELSE COALESCE({v}sent_at, d.sent_at) END, settled_at = {v}settled_at,"
    " ghost = (d.ghost OR {v}ghost), claims = d.claims + {v}claims, reached = {greatest}(d.reached, {v}reached),"
    " lease_token = NULL, lease_until = NULL"
)
_UNNEST = (
    f"UPDATE messaging_delivery d SET {_SET.format(v='v.', greatest='GREATEST')} FROM unnest("
    + ", ".join(f"%s::{kind}[]" for _, kind in _FIELDS)
    + f") AS v({', '.join(name for name, _ in _FIELDS)})"
    " WHERE d.id = v.id AND d.lease_token = %s AND d.state = %s RETURNING d.id"
)
_ALIKE = (
    "UPDATE messaging_delivery AS d SET {set} WHERE d.lease_token = %s AND d.state = %s AND d.id {among} RETURNING id"
)
_HOLES = re.compile(r":([a-z_]+)")
_ORDER = _HOLES.findall(_SET.format(v=":", greatest=""))
_KINDS = dict(_FIELDS)
_SET_POSTGRES = _HOLES.sub(lambda hole: f"%s::{_KINDS[hole[1]]}", _SET.format(v=":", greatest="GREATEST"))
_SET_SQLITE = _HOLES.sub("%s", _SET.format(v=":", greatest="MAX"))
FEW = 4  # kinds of change that are written one statement each; more go as arrays


@contextmanager
def together() -> Iterator[None]:
    """Send PostgreSQL several statements in one journey: the answers are there at the end of the block, and to fetch
    one within it costs a journey more. Each statement still sees what those before it did and waited for. Call inside a
    transaction."""
    if not is_postgres():
        yield
        return
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def _ask(statement: str, values: Sequence[Any]) -> Callable[[], list[tuple[Any, ...]]]:
    """Send a statement; what is returned waits for its rows."""
    cursor = connection.cursor()
    cursor.execute(statement, values)
    if not is_postgres():
        rows = cursor.fetchall()
        return lambda: rows
    return lambda: list(cursor.fetchall())


def change(changes: Sequence[Change], *, was: str, token: UUID) -> set[int]:
    """Move leased rows out of state `was`, ending their lease; returns the ids that were still ours."""
    return ask_change(changes, was=was, token=token)()


def ask_change(changes: Sequence[Change], *, was: str, token: UUID) -> Callable[[], set[int]]:
    """The same; what is returned waits for the ids."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for one in changes:
        alike.setdefault(one[1:], []).append(one.id)
    if is_postgres() and len(alike) > FEW:
        ordered = sorted(changes, key=lambda one: one.id)
        columns: list[Any] = [[getattr(one, name) for one in ordered] for name, _ in _FIELDS]
        asked = [_ask(_UNNEST, [*columns, token, was])]
    else:
        asked = [_ask(*_change_alike(Change(0, *kind), sorted(ids), was, token)) for kind, ids in alike.items()]
    return lambda: {row[0] for rows in asked for row in rows()}


def _change_alike(kind: Change, ids: list[int], was: str, token: UUID) -> tuple[str, list[Any]]:
    """The statement that makes the same change to many rows."""
    values = [getattr(kind, name) for name in _ORDER]
    if is_postgres():
        return _ALIKE.format(set=_SET_POSTGRES, among="= ANY(%s::bigint[])"), [*values, token, was, array_of(ids)]
    among = f"IN ({', '.join(['%s'] * len(ids))})"
    return _ALIKE.format(set=_SET_SQLITE, among=among), [*map(sqlite_value, values), token.hex, was, *ids]


_MARK_SET = "state = 'attempting', reason = '', attempts = attempts + 1, claims = 0, sent_at = %s, lease_until = "
_ATTEMPT = (
    "INSERT INTO messaging_attempt (delivery_id, n, account_id, lease_token, started_at, outcome, code, provider_ref)"
)
_MARK_POSTGRES = (
    f"WITH marked AS (UPDATE messaging_delivery SET {_MARK_SET} clock_timestamp() + %s * interval '1 second'"
    " WHERE id = ANY(%s::bigint[]) AND lease_token = %s AND state = 'claimed' AND lease_until > clock_timestamp()"
    f" RETURNING id, attempts) {_ATTEMPT}"
    " SELECT id, attempts, %s, %s, clock_timestamp(), 'open', '', '' FROM marked RETURNING delivery_id, n"
)
_MARK_SQLITE = (
    f"UPDATE messaging_delivery SET {_MARK_SET} %s WHERE id IN ({{ids}}) AND lease_token = %s AND state = 'claimed'"
    " AND lease_until > %s RETURNING id, attempts"
)


def mark(ids: Sequence[int], *, token: UUID, account: int, now: datetime) -> dict[int, int]:
    """claimed → attempting with an Attempt row each: the marker. Returns attempt numbers by id, of those won."""
    return ask_mark(ids, token=token, account=account, now=now)()


def ask_mark(ids: Sequence[int], *, token: UUID, account: int, now: datetime) -> Callable[[], dict[int, int]]:
    """The same; what is returned waits for the numbers."""
    if not ids:
        return dict
    if is_postgres():
        given: list[Any] = [now, lease_length().total_seconds(), array_of(sorted(ids)), token, account, token]
        asked = _ask(_MARK_POSTGRES, given)
        return lambda: dict(asked())
    numbers = _mark_one_by_one(ids, token=token, account=account, now=now)
    return lambda: numbers


def _mark_one_by_one(ids: Sequence[int], *, token: UUID, account: int, now: datetime) -> dict[int, int]:
    """The marker on SQLite, which cannot insert what an update returns."""
    lease = lease_length()
    with connection.cursor() as cursor:
        at = database_now()
        holes = ", ".join(["%s"] * len(ids))
        times = [sqlite_value(value) for value in (now, at + lease, at)]
        cursor.execute(_MARK_SQLITE.format(ids=holes), [*times[:2], *sorted(ids), token.hex, times[2]])
        numbers: dict[int, int] = dict(cursor.fetchall())
        cursor.executemany(
            f"{_ATTEMPT} VALUES (%s, %s, %s, %s, %s, 'open', '', '')",
            [(pk, n, account, token.hex, times[2]) for pk, n in sorted(numbers.items())],
        )
        return numbers


def renew(ids: Sequence[int], *, token: UUID) -> None:
    """Draw out the lease of rows that are still claimed under our token."""
    if ids:
        ours = Delivery.objects.filter(pk__in=list(ids), lease_token=token, state="claimed")
        ours.update(lease_until=DatabaseNow(lease_length()))


class Answered(NamedTuple):
    """The answer for one attempt, to be written beside it."""

    delivery: int
    n: int
    outcome: str
    code: str
    provider_ref: str


_ANSWER_POSTGRES = (
    "UPDATE messaging_attempt a SET outcome = %s, code = %s, answered_at = %s, provider_ref = v.provider_ref"
    " FROM unnest(%s::bigint[], %s::text[]) AS v(delivery_id, provider_ref)"
    " WHERE a.delivery_id = v.delivery_id AND a.n = %s AND a.lease_token = %s"
)
_ANSWER_SQLITE = (
    "UPDATE messaging_attempt SET outcome = %s, code = %s, provider_ref = %s, answered_at = %s"
    " WHERE delivery_id = %s AND n = %s AND lease_token = %s"
)


def answer(answers: Sequence[Answered], *, token: UUID, now: datetime) -> None:
    """Write the answers of our own attempts; allowed, and wanted, even after the lease was lost."""
    if not answers:
        return
    ordered = sorted(answers, key=lambda one: one.delivery)
    with connection.cursor() as cursor:
        if not is_postgres():
            at = sqlite_value(now)
            cursor.executemany(
                _ANSWER_SQLITE,
                [(one.outcome, one.code, one.provider_ref, at, one.delivery, one.n, token.hex) for one in ordered],
            )
            return
        alike: dict[tuple[str, str, int], list[Answered]] = {}
        for one in ordered:
            alike.setdefault((one.outcome, one.code, one.n), []).append(one)
        for (outcome, code, n), group in alike.items():
            given: list[Any] = [array_of([one.delivery for one in group]), [one.provider_ref for one in group]]
            cursor.execute(_ANSWER_POSTGRES, [outcome, code, now, *given, n, token])


def lock(table: str, ids: Sequence[int]) -> None:
    """Lock rows FOR NO KEY UPDATE in the order of their ids (FOR SHARE does not conflict with itself, so two
    workers would pass one cap). SQLite holds the whole database already (BEGIN IMMEDIATE)."""
    if ids and is_postgres():
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT 1 FROM {table} WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE",
                [array_of(sorted(set(ids)))],
            )


_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', true), set_config('plan_cache_mode', 'force_generic_plan', true),"
    " set_config('enable_seqscan', 'off', true)"
)


def durable() -> None:
    """Make the current transaction's commit wait for the disk, whatever the session says; SQLite runs with
    synchronous=FULL throughout.

    The transaction's prepared statements are also planned once for all groups (to plan the gates' query takes twice as
    long as to run it), by their indexes however small the tables were at that time.
    """
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute(_DURABLE)


def sqlite_value(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
