"""Reading the log in order, one cursor per reader and shard, moved in the transaction of the reader's work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from common.models import Parked
from segments.facts.fact import START, Fact, Position
from segments.facts.position import horizon
from segments.models import Cursor, Event

log = logging.getLogger(__name__)
TRIES = 3
ANY = "*"  # of a sender
FIELDS = (
    "id", "profile_id", "shard", "source_id", "kind", "name", "occurred_at", "received_at", "value", "properties",
    "context", "live", "depth",
)  # fmt: skip
Handle = Callable[[Sequence[Fact]], None]


@dataclass(frozen=True)
class FactPage:
    """A page of facts in order; `last` is where the cursor goes when they are done; `full`: more may follow."""

    rows: list[Fact]
    last: Position
    full: bool


def after(position: Position, upto: Position) -> QuerySet[Event]:
    """Facts in (position, upto], unordered; combine with a shard, names or profiles."""
    if upto.tx == 0:  # SQLite: the id is the order, and said so plainly it is found by index
        return Event.objects.filter(tx=0, id__gt=position.id, id__lte=upto.id)
    table = connection.ops.quote_name(Event._meta.db_table)
    later = RawSQL(  # a condition by itself: "(…) = %s" is a scan of the log once the server's plan is generic
        f"({table}.tx, {table}.id) > (%s, %s)", (position.tx, position.id), output_field=BooleanField()
    )
    return Event.objects.filter(later, tx__lte=upto.tx)


def read_facts(reader: str, shard: int, *, limit: int = 500, names: Collection[str] | None = None) -> FactPage | None:
    """The next facts after the reader's cursor in one shard, in order; None while another process holds it.

    Call inside a transaction, do the work, then `move_cursor` to `page.last`. `names` skips all others; "*" among
    them stands for any of a sender. On PostgreSQL facts of transactions that are still open, the caller's own
    included, are not yet there.
    """
    cursor = _lock_cursor(reader, shard)
    if cursor is None:
        return None
    upto = horizon()
    rows = after(Position(cursor.tx, cursor.position), upto).filter(shard=shard)
    if names is not None:
        rows = rows.filter(_wanted(names))
    found = list(rows.order_by("tx", "id").values_list("tx", *FIELDS)[:limit])
    facts = [Fact(*row[1:]) for row in found]
    full = len(found) == limit
    last = Position(found[-1][0], found[-1][1]) if full else max(upto, Position(cursor.tx, cursor.position))
    return FactPage(facts, last, full)


def _wanted(names: Collection[str]) -> Q:
    named = Q(name__in=sorted(set(names) - {ANY}))
    return named | ~Q(kind=Event.Kind.SYSTEM) if ANY in names else named


def move_cursor(reader: str, shard: int, last: Position, *, now: datetime) -> None:
    """Move the cursor to `last`; in the same transaction as the work, so that neither can go without the other."""
    Cursor.objects.filter(reader=reader, shard=shard).update(tx=last.tx, position=last.id, moved_at=now)


def start_reader(reader: str, shard: int, *, now: datetime | None, at: Position | None = None) -> None:
    """Make the reader's cursor at `at` (by default the present end of the log), unless it is there already."""
    place = horizon() if at is None else at
    Cursor.objects.get_or_create(
        reader=reader, shard=shard, defaults={"tx": place.tx, "position": place.id, "moved_at": now}
    )


def process_shard(
    reader: str,
    shard: int,
    handle: Handle,
    *,
    now: datetime,
    limit: int = 500,
    names: Collection[str] | None = None,
) -> int:
    """Read one page, hand it to `handle` and move the cursor, in one transaction; returns how many facts.

    When `handle` raises, the page is done again one fact at a time; a fact that raises three times (over as many
    calls) is parked with the reason and passed over. Faults of the database itself are raised, to be tried again.
    """
    try:
        with transaction.atomic():
            page = read_facts(reader, shard, limit=limit, names=names)
            if page is None:
                return 0
            if page.rows:
                handle(page.rows)
            move_cursor(reader, shard, page.last, now=now)
            return len(page.rows)
    except OperationalError:
        raise
    except Exception:
        log.exception("reader %s failed on a page of shard %s", reader, shard)
    done = 0
    while done < limit and _process_one(reader, shard, handle, now=now, names=names):
        done += 1
    return done


def _process_one(reader: str, shard: int, handle: Handle, *, now: datetime, names: Collection[str] | None) -> bool:
    """Do the next fact alone; False when there is none, or when it failed and is to be tried again later."""
    with transaction.atomic():
        page = read_facts(reader, shard, limit=1, names=names)
        if page is None or not page.rows:
            return False
        fact = page.rows[0]
        try:
            with transaction.atomic():
                handle(page.rows)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - parked with its reason after three tries
            if not _parks(reader, fact, error, now=now):
                return False
        move_cursor(reader, shard, page.last, now=now)
        return True


def _parks(reader: str, fact: Fact, error: Exception, *, now: datetime) -> bool:
    """Count a failed try; True once the fact is parked and the cursor may pass."""
    reason = f"{type(error).__name__}: {error}"[:500]
    row, _ = Parked.objects.get_or_create(
        reader=reader, subject=f"fact:{fact.id}", defaults={"at": now, "reason": reason}
    )
    row.tries, row.reason = row.tries + 1, reason
    row.save(update_fields=["tries", "reason"])
    log.warning("reader %s failed on fact %s, try %s", reader, fact.id, row.tries)
    return row.tries >= TRIES


def _lock_cursor(reader: str, shard: int) -> Cursor | None:
    """The locked cursor row, made at the start of the log if missing; None when another process has it."""
    locked = Cursor.objects.filter(reader=reader, shard=shard)
    if connection.features.has_select_for_update_skip_locked:
        locked = locked.select_for_update(skip_locked=True)
    row = locked.first()
    if row is None and not Cursor.objects.filter(reader=reader, shard=shard).exists():
        start_reader(reader, shard, now=None, at=START)
        row = locked.first()
    return row
