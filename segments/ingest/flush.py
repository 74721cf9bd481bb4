"""One batch of calls into the database: one transaction and a constant number of statements, whatever its size.

Replays are known by their key and change nothing. A row that the database itself refuses is found by halving the
batch and fails alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from common.clock import is_postgres
from common.faults import faultpoint
from segments.arrays import literal
from segments.bulk import given, update
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.ingest.call import LINKING, Call
from segments.ingest.change import SIGNED_UP, Change
from segments.ingest.limits import Refused
from segments.ingest.orders import write_orders
from segments.ingest.rejects import Reject
from segments.ingest.resolve import SEEN_APART, Contended, People, Person, all_names
from segments.ingest.schema import learn
from segments.merge import Pair, merge_many
from segments.merge_pieces import too_large, unknown_only
from segments.models import Profile
from segments.portrait import FIELDS, PORTRAIT, Portrait, blank_portrait, differ, to_text
from segments.unfinished import TooLarge, in_pieces

log = logging.getLogger(__name__)
TRIES = 6


@dataclass(frozen=True, slots=True)
class Flushed:
    """Indexes of the calls that were stored and of those known before, and the rows refused on the way."""

    stored: frozenset[int]
    known: frozenset[int]
    rejects: tuple[Reject, ...]


def flush_safely(calls: Sequence[Call], *, source: int, now: datetime, ahead: frozenset[int] | None = None) -> Flushed:
    """Store a batch; when the database refuses it, halve it until the refused row stands alone.

    Very large profiles that the batch joins go ahead in short transactions. In a transaction of the caller's that
    takes the caller: with `ahead`, the profiles that have gone, it raises TooLarge (segments.unfinished.in_pieces).
    """
    try:
        if ahead is None and not connection.in_atomic_block:
            return in_pieces(lambda gone: _persistently(calls, source=source, now=now, ahead=gone), now=now)
        return _persistently(calls, source=source, now=now, ahead=ahead)
    except (DataError, IntegrityError, ValueError) as error:
        if len(calls) == 1:
            log.warning("ingest: the database refused a row of source %s: %s", source, type(error).__name__)
            refused = Refused("unstorable", "", "the database refused this row")
            return Flushed(frozenset(), frozenset(), (Reject(calls[0].index, calls[0].raw, refused),))
    middle = len(calls) // 2
    left = flush_safely(calls[:middle], source=source, now=now, ahead=ahead)
    right = flush_safely(calls[middle:], source=source, now=now, ahead=ahead)
    return Flushed(left.stored | right.stored, left.known | right.known, left.rejects + right.rejects)


def _persistently(calls: Sequence[Call], *, source: int, now: datetime, ahead: frozenset[int] | None) -> Flushed:
    """Do a batch again when another writer made the same person, or a deadlock was broken at our cost."""
    for _ in range(TRIES - 1):
        try:
            with transaction.atomic():
                return flush(calls, source=source, now=now, ahead=ahead)
        except Contended:
            continue
        except OperationalError as error:
            if connection.in_atomic_block or "deadlock" not in str(error):
                raise
    with transaction.atomic():
        return flush(calls, source=source, now=now, ahead=ahead)


def flush(calls: Sequence[Call], *, source: int, now: datetime, ahead: frozenset[int] | None = None) -> Flushed:
    """Store a batch in the caller's transaction. Raises Contended when it must be done again, and TooLarge when it
    would join large profiles that are not among those `ahead` (None: whatever their size)."""
    fresh, known = _first_of_each(calls)
    people = _people(fresh)
    quiet = all(_only_adds(call, people) for call in fresh)
    if not quiet:
        fresh, there = _without_known(fresh, source)
        known |= there
    spoken, rejects = _resolve(people, fresh)
    pairs = [Pair(gone.id, into.root.id) for gone, into in people.merges]
    if ahead is not None and (large := too_large([pair for pair in pairs if pair.gone not in ahead])):
        raise TooLarge(large)
    _hold(people, spoken)
    changes = _gather(spoken, people, quiet=quiet)
    drawn = {
        person: changes[person].draw(blank_portrait(changes[person].first_seen))
        for person in people.created
        if person.into is None and person in changes
    }
    people.write(drawn, now=now)
    merge_many(pairs, now=now, actor="ingest", reason="identify or alias by a trusted sender")
    new = append_facts([_fact(call, person.root, source) for call, person in spoken], now=now)
    faultpoint("ingest.appended")
    stored = [spoken[place] for place in new]
    if len(stored) < len(spoken):
        changes = _gather(stored, people, quiet=quiet)
    _change_known({person: change for person, change in changes.items() if person not in drawn})
    write_orders([(call, person.root.id) for call, person in stored], source=source)
    learn([call.traits.rest for call, _ in stored if call.traits], now=now)
    indexes = frozenset(call.index for call, _ in stored)
    seen = frozenset(call.index for call, _ in spoken) - indexes
    return Flushed(indexes, known | seen, tuple(rejects))


def _first_of_each(calls: Sequence[Call]) -> tuple[list[Call], frozenset[int]]:
    """The first call of each key, and the indexes of all others."""
    first: dict[str, Call] = {}
    for call in calls:
        first.setdefault(call.key, call)
    if len(first) == len(calls):
        return list(calls), frozenset()
    chosen = {call.index for call in first.values()}
    return list(first.values()), frozenset(call.index for call in calls if call.index not in chosen)


def _people(calls: Sequence[Call]) -> People:
    times = [call.occurred_at for call in calls]
    return People(all_names(calls), (min(times), max(times)))


def _only_adds(call: Call, people: People) -> bool:
    """Whether the call does nothing to a person but add a fact, so that the log itself may find out that it is known.

    What links, describes or makes a person must not do so once more on a replay.
    """
    return (
        call.traits is None
        and not call.utm
        and call.kind not in LINKING
        and call.name != SIGNED_UP
        and people.knows(call)
    )


def _without_known(calls: Sequence[Call], source: int) -> tuple[list[Call], frozenset[int]]:
    """The calls whose key is new, and the indexes of all others."""
    keys, params = given((("key", "varchar"),), [(call.key,) for call in calls])
    with connection.cursor() as cursor:
        cursor.execute(_THERE.format(keys=keys), [*params, source])
        there = {row[0] for row in cursor.fetchall()}
    if not there:
        return list(calls), frozenset()
    return [call for call in calls if call.key not in there], frozenset(c.index for c in calls if c.key in there)


# One look-up by index for each key, whatever the planner believes of a source that it has not seen yet: a join may
# be turned round into a walk over all facts of the source, a scalar subquery may not.
_THERE = (
    "SELECT given.key FROM {keys} WHERE"
    " (SELECT e.id FROM segments_event e WHERE e.key = given.key AND e.source_id = %s) IS NOT NULL"
)


def _resolve(people: People, calls: Sequence[Call]) -> tuple[list[tuple[Call, Person]], list[Reject]]:
    spoken: list[tuple[Call, Person]] = []
    rejects: list[Reject] = []
    for call in calls:
        try:
            if call.kind == "alias":
                people.refuse_alias(call)
            spoken.append((call, people.resolve(call)))
        except Refused as refused:
            rejects.append(Reject(call.index, call.raw, refused))
    return spoken, rejects


def _hold(people: People, spoken: Sequence[tuple[Call, Person]]) -> None:
    """Lock everybody who was there before, in the order of ids, and make sure that all is still as it was read.

    Raises Contended when somebody was merged or erased since, or a visitor about to be merged, or to be given a user
    id, has become known.
    """
    gone = [holder.id for holder, _ in people.merges]
    visitors = {*gone, *(person.id for person in people.adopted)}
    if connection.features.has_select_for_update:
        ids = {person.root.id for _, person in spoken} | set(gone)
        with connection.cursor() as cursor:
            cursor.execute(_HELD, [literal("bigint", sorted(ids - {0}))])
            if cursor.fetchone()[0]:
                raise Contended
    if visitors and unknown_only(sorted(visitors)) != visitors:
        raise Contended


_HELD = (
    "WITH held AS (SELECT merged_into_id, erased_at FROM segments_profile WHERE id = ANY(%s::bigint[])"
    " ORDER BY id FOR NO KEY UPDATE)"
    " SELECT count(*) FROM held WHERE merged_into_id IS NOT NULL OR erased_at IS NOT NULL"
)


def _gather(spoken: Sequence[tuple[Call, Person]], people: People, *, quiet: bool) -> dict[Person, Change]:
    """What the batch says of each person, as they turn out at its end; nothing of the settled by quiet calls."""
    changes: dict[Person, Change] = {}
    for call, person in spoken:
        root = person.root
        if quiet and root.settled:
            continue
        change = changes.get(root)
        if change is None:
            change = changes[root] = Change.of(call)
        change.hear(call, became_known=id(root) in people.became_known)
    return changes


def _change_known(changes: dict[Person, Change]) -> None:
    """Bring people who were there before up to date: redraw those of whom anything was said."""
    by_id = {person.id: change for person, change in changes.items() if change.says_more()}
    changed = []
    rows = Profile.objects.filter(pk__in=by_id).order_by("pk").values("pk", *FIELDS) if by_id else ()
    for values in rows:
        pk = values.pop("pk")
        before = Portrait(**{**values, "traits": to_text(values["traits"])})
        after = by_id[pk].draw(before)
        if differ(before, after, SEEN_APART):
            changed.append((pk, *after))
    if changed:
        update("segments_profile", (("id", "bigint"), *PORTRAIT), changed)
    _see(
        [
            (person.id, change.first_seen, change.last_seen, change.last_seen - SEEN_APART)
            for person, change in changes.items()
            if not person.settled and person.id not in by_id
        ]
    )


def _see(rows: Sequence[tuple[int, datetime, datetime, datetime]]) -> None:
    """Widen first and last seen of people, given as (id, first, last, what last seen must lie before to move)."""
    if not rows:
        return
    columns = (("id", "bigint"), ("first", "timestamptz"), ("last", "timestamptz"), ("before", "timestamptz"))
    source, params = given(columns, sorted(rows))
    least, most = ("LEAST", "GREATEST") if is_postgres() else ("MIN", "MAX")
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE segments_profile SET first_seen_at = {least}(first_seen_at, given.first),"
            f" last_seen_at = {most}(last_seen_at, given.last) FROM {source} WHERE segments_profile.id = given.id"
            " AND (given.first < first_seen_at OR last_seen_at < given.before)",
            params,
        )


def _fact(call: Call, person: Person, source: int) -> NewFact:
    return NewFact(
        person.id, person.shard, call.name, call.occurred_at, call.key, source, call.kind, call.value,
        call.properties, call.context, call.live, call.flags[:40],
    )  # fmt: skip
