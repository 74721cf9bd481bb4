"""Reading what is new in a host's model, a page at a time, each stored with its place in one transaction.

Rows are read in the order of (updated, key) after the last one seen, so that a kill costs nothing and a repetition
changes nothing. The newest minute waits: a row whose transaction is still open must not be passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from common.faults import faultpoint
from segments.hosts.mapping import HostModel
from segments.imports.rows import RowReader
from segments.ingest.call import Call
from segments.ingest.flush import Flushed, flush_safely
from segments.ingest.intake import see_source
from segments.ingest.limits import Refused
from segments.ingest.read import Reading, read_call
from segments.ingest.rejects import Reject, store_rejects
from segments.models import ImportJob, ModelSync, Source
from segments.unfinished import in_pieces

PIECE = 1000
PLACE = "sync_place"


class Overtaken(RuntimeError):
    """Another run has moved the place meanwhile; nothing of this page was stored."""


class Changed(ValueError):
    """The mapping reads otherwise than before: rows already read must be read again."""


@dataclass
class Synced:
    """What one run did."""

    done: int = 0
    stored: int = 0
    known: int = 0
    rejected: int = 0


def sync(
    key: str,
    mapping: HostModel,
    *,
    now: datetime,
    dry_run: bool = False,
    again: bool = False,
    limit: int | None = None,
    tell: Callable[[Synced], None] | None = None,
) -> Synced:
    """Read what is new since the last run (with `again`: everything). Raises Changed, Overtaken.

    A dry run reads and checks from the same place, and stores nothing.
    """
    named = mapping.source or key
    source = Source.objects.filter(key=named).first() or Source(key=named, name=named.title(), kind=Source.Kind.IMPORT)
    if source.pk is None and not dry_run:
        source.save()
    place = _place(key, mapping, again=again, dry_run=dry_run)
    done = Synced()
    while limit is None or done.done < limit:
        size = PIECE if limit is None else min(PIECE, limit - done.done)
        rows = list(_after(mapping, place, now=now)[:size].iterator())
        if not rows:
            break
        place = _take(mapping, source, place, rows, done, now=now, dry_run=dry_run)
        if tell is not None:
            tell(done)
    if not dry_run:
        see_source(source, now=now)
    return done


def _place(key: str, mapping: HostModel, *, again: bool, dry_run: bool) -> ModelSync:
    """Where to go on; a dry run keeps its place to itself."""
    place = ModelSync.objects.filter(key=key).first() or ModelSync(key=key, digest=mapping.digest)
    if place.digest != mapping.digest and not again:
        raise Changed(f"the mapping '{key}' has changed since it was last read: read everything again, or rename it")
    if again:
        place.digest, place.watermark, place.last_pk = mapping.digest, "", ""
    if not dry_run:
        place.save()
    return place


def _after(mapping: HostModel, place: ModelSync, *, now: datetime) -> QuerySet[Any, dict[str, Any]]:
    """The rows after the place in their order, as dictionaries of the fields that the mapping names."""
    rows = mapping.host._default_manager.filter(**mapping.where)
    pk_field: Any = mapping.host._meta.pk
    after = Q(pk__gt=pk_field.to_python(place.last_pk)) if place.last_pk else Q()
    order = ["pk"]
    columns: dict[str, Any] = {f"{PLACE}_pk": F("pk")}
    if mapping.updated:
        updated = mapping.host._meta.get_field(mapping.updated)
        name, ready = mapping.updated, _ready(updated, now, mapping.lag_seconds)
        rows = rows.filter(**{f"{name}__lte": ready})
        if place.watermark:
            last: Any = updated.to_python(place.watermark)  # type: ignore[union-attr]
            rows = rows.filter(**{f"{name}__gte": last})
            after = Q(**{f"{name}__gt": last}) | after
        order, columns = [name, "pk"], {**columns, f"{PLACE}_at": F(name)}
    return rows.filter(after).order_by(*order).values(*mapping.options.columns(), **columns)


def _ready(updated: Any, now: datetime, lag: int) -> Any:
    """The newest moment that is read, as the field holds it."""
    limit = now - timedelta(seconds=lag)
    return limit if updated.get_internal_type() == "DateTimeField" else limit.date() - timedelta(days=1)


def _take(
    mapping: HostModel,
    source: Source,
    place: ModelSync,
    rows: list[dict[str, Any]],
    done: Synced,
    *,
    now: datetime,
    dry_run: bool,
) -> ModelSync:
    """Check and store one page, and move the place with it."""
    reading = Reading(
        now=now,
        historical=not mapping.live,
        live_since=mapping.options.live_since,
        lenient=source.lenient,
        by_address=True,
        weigh=False,
    )
    calls, wrong = _read(mapping, place.key, rows, reading)
    flushed = Flushed(frozenset(call.index for call in calls), frozenset(), ())
    last = rows[-1]
    before = (place.watermark, place.last_pk)
    place.last_pk = str(last[f"{PLACE}_pk"])
    place.watermark = last[f"{PLACE}_at"].isoformat() if mapping.updated else ""

    def store(ahead: frozenset[int]) -> Flushed:
        with transaction.atomic():
            stored = flushed
            if not dry_run:
                stored = flush_safely(calls, source=source.pk, now=now, ahead=ahead) if calls else flushed
                refused = [*wrong, *stored.rejects]
                store_rejects(refused, source=source.pk, now=now)
                _move(place, before, rows=len(rows), flushed=stored, wrong=len(refused), now=now)
            faultpoint("sync.before_commit")
        return stored

    flushed = in_pieces(store, now=now)
    done.done += len(rows)
    done.stored += len(flushed.stored)
    done.known += len(flushed.known)
    done.rejected += len(wrong) + len(flushed.rejects)
    return place


def _move(place: ModelSync, before: tuple[str, str], *, rows: int, flushed: Flushed, wrong: int, now: datetime) -> None:
    there = ModelSync.objects.filter(pk=place.pk, watermark=before[0], last_pk=before[1])
    moved = there.update(
        watermark=place.watermark,
        last_pk=place.last_pk,
        moved_at=now,
        rows_done=F("rows_done") + rows,
        rows_stored=F("rows_stored") + len(flushed.stored),
        rows_known=F("rows_known") + len(flushed.known),
        rows_rejected=F("rows_rejected") + wrong,
    )
    if not moved:
        raise Overtaken(f"'{place.key}' is being read by another process")


def _read(
    mapping: HostModel, key: str, rows: list[dict[str, Any]], reading: Reading
) -> tuple[list[Call], list[Reject]]:
    """The rows as calls, by the same reader as a file's; a wrong row is kept as the call it would have been."""
    calls: list[Call] = []
    wrong: list[Reject] = []
    for index, (said, made) in enumerate(_made(mapping, key, rows)):
        try:
            if isinstance(made, Refused):
                raise made
            calls.append(read_call(made, index, reading))
        except Refused as problem:
            wrong.append(Reject(index, said if isinstance(made, Refused) else made, problem))
    return calls, wrong


def _made(mapping: HostModel, key: str, rows: list[dict[str, Any]]) -> Iterator[tuple[Any, Any]]:
    """Each row beside the call it stands for. People are told once for each change, so a value may come back."""
    plain = [{name: value for name, value in row.items() if not name.startswith(PLACE)} for row in rows]
    reader = RowReader(mapping.kind, mapping.options, typed=True)
    for row, (_, _, made, said) in zip(rows, reader.calls(enumerate(plain, 1)), strict=True):
        if isinstance(made, dict) and mapping.kind == ImportJob.Kind.PROFILES and mapping.updated:
            made = {**made, "messageId": f"{key}:{row[f'{PLACE}_pk']}:{row[f'{PLACE}_at'].isoformat()}"}
        yield said, made
