"""One row of scores per person, kept for those who changed and for those whose silence passed a boundary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings

from common.buckets import SHARDS
from common.periods import local_date, start_of_day, zone
from common.semijoin import among
from segments.active_days import active_days
from segments.facts import names
from segments.facts.fact import Fact
from segments.facts.read import ANY, process_shard
from segments.lifecycle import BY_ORDERS, Rule, Standing, settle
from segments.models import Order, Profile, RfmEdges, Scores
from segments.models.known import Stage
from segments.passes import causes, in_batches, in_rounds, locked_rows, next_of_everyone, next_of_silent
from segments.rfm import Edges, Scored, compute_edges, latest_edges, next_day, score_person
from segments.score_first import score_first
from segments.score_moves import FIELDS, Move, Reason, Row, tell_moves, write_moves
from segments.score_stale import STANDING, stale_page
from segments.stage_presets import REACH, preset_of, rule_for

READER = "scores"
PASS = "scores:everyone"
PAGE = 2000
SMALL = 1000
EVERYBODY = 5000  # people of one page of the pass over everyone
READ = names.ORDER_FACTS | {names.IDENTIFY, names.MERGED, names.CORRECTED}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Bought(NamedTuple):
    """One standing order: when, on which local day, and its net in minor units of the reporting currency (0 where
    no rate is known)."""

    at: datetime
    day: date
    net: int


NOTHING: tuple[Bought, ...] = ()
NO_DAYS: tuple[date, ...] = ()


def score_changed(now: datetime, *, shards: Iterable[int] = range(SHARDS)) -> dict[str, int]:
    """One look: new edges when a local day has begun, then everyone's pass, new facts, and silences come due.

    Bounded; what is left is done at the next look. Returns how many rows each part wrote.
    """
    edges = _edges_in_force(now)
    return {
        "everyone": in_rounds(partial(_next_of_everyone, edges, now)),
        "facts": sum(score_shard(shard, now, edges=edges) for shard in shards),
        "silence": in_rounds(partial(_next_of_silent, edges, now)),
    }


def score_all(now: datetime) -> int:
    """New edges, then everyone with an order, to the end; returns how many rows were written."""
    edges = compute_edges(now, zone=_zone(), preset=settings.STAGE_PRESET)
    return in_rounds(partial(_next_of_everyone, edges, now), rounds=None)


def score_shard(shard: int, now: datetime, *, edges: Edges | None = None) -> int:
    """Score the people of one page of new facts; returns how many rows were written."""
    frozen, wrote = edges or _edges_in_force(now), 0

    def handle(facts: Sequence[Fact]) -> None:
        nonlocal wrote
        live, depth = causes(facts)
        wrote = score_people(live, now=now, edges=frozen, reason=Reason(live, depth))

    acts = frozenset({ANY}) if preset_of(frozen.preset) else frozenset[str]()
    process_shard(READER, shard, handle, now=now, limit=PAGE, names=READ | acts)
    return wrote


def score_people(ids: Collection[int], *, now: datetime, edges: Edges, reason: Reason | None = None) -> int:
    """Score the given people and write those rows that differ, with their history and facts.

    Call inside a transaction. A handful of statements per batch; returns how many rows were written.
    """
    return in_batches(ids, partial(_score_batch, now=now, edges=edges, reason=reason or Reason()))


def _score_batch(ids: Sequence[int], *, now: datetime, edges: Edges, reason: Reason) -> int:
    here, preset = _zone(), preset_of(edges.preset)
    people = Profile.objects.filter(among("pk", ids), merged_into__isnull=True, erased_at__isnull=True)
    fields = ("pk", "shard", "no_profiling") if preset is None else ("pk", "shard", "no_profiling", "registered_at")
    alive = list(people.values_list(*fields))
    before, bought = locked_rows(Scores, ids, FIELDS), _orders(ids, here)
    active = active_days(ids, now=now, zone=here, reach=REACH) if preset else {}
    look, moves = _Look(now, local_date(now, here), here, edges), []
    for pk, shard, quiet, *registered in alive:
        old, orders = before.get(pk), NOTHING if quiet else bought.get(pk, NOTHING)
        past = look.past(orders)
        days: Sequence[date] = [order.day for order in past]
        rule: Rule = BY_ORDERS
        if preset is not None:
            days = active[pk] if pk in active and not quiet else NO_DAYS
            rule = rule_for(preset, local_date(registered[0], here) if registered[0] else None)
        known = None if old is None or quiet or pk in reason.anew else _standing(old)
        standing = look.settle(known, days, rule)
        row = look.score(old, orders, past, standing)
        if row != old:
            moves.append(Move(pk, shard, old, row, standing.reason))
    if moves:
        write_moves(moves, now=now, edges=edges.pk)
        tell_moves(moves, now=now, reason=reason)
    return len(moves)


@dataclass(frozen=True)
class _Look:
    """One moment, by which people are scored."""

    now: datetime
    today: date
    zone: ZoneInfo
    edges: Edges

    def past(self, orders: Sequence[Bought]) -> Sequence[Bought]:
        """Those that are not dated ahead."""
        if not orders or orders[-1].at <= self.now:
            return orders
        return [order for order in orders if order.at <= self.now]

    def settle(self, known: Standing | None, days: Sequence[date], rule: Rule) -> Standing:
        """The stage by the days up to today; what is dated ahead is looked at again when it comes due."""
        ahead = [day for day in days if day > self.today] if days and days[-1] > self.today else NO_DAYS
        past = days[: len(days) - len(ahead)]
        standing = settle(known, past, now=self.now, zone=self.zone, rhythm=self.edges.rhythm, rule=rule)
        if not ahead:
            return standing
        due = start_of_day(ahead[0], self.zone)
        return standing._replace(changes_on=min(due, standing.changes_on or due))

    def score(
        self, before: Row | None, bought: Sequence[Bought], past: Sequence[Bought], standing: Standing
    ) -> Row:  # fmt: skip
        """The row of one person."""
        edges, today = self.edges, self.today
        opens = today - timedelta(days=edges.window_days)
        inside = past if past and past[0].day > opens else [order for order in past if order.day > opens]
        spent, instants = sum([order.net for order in inside]), [standing.changes_on]
        scored = Scored()
        if inside:
            money, last = spent / len(inside) if edges.money == "mean" else spent, past[-1].day
            often = len({order.day for order in inside}) if edges.counted == "days" else len(inside)
            scored = score_person((today - last).days, often, money, edges)
            instants.append(start_of_day(next_day(last, inside[0].day, edges, today=today), self.zone))
        instants += [order.at for order in bought[len(past) : len(past) + 1]]
        return {
            "r": scored.r, "f": scored.f, "m": scored.m, "cell": scored.cell, "octant": scored.octant,
            "orders": len(inside), "spent": spent, "first_order_at": past[0].at if past else None,
            "last_order_at": past[-1].at if past else None, "orders_ever": len(past),
            "spent_ever": sum([order.net for order in past]), "gap_days": standing.gap_days,
            "stage": standing.stage.value, "stage_since": _since(before, standing), "stage_next": standing.pending,
            "stage_next_since": standing.pending_since, "won_back_until": standing.won_back_until,
            "next_change_at": min((at for at in instants if at is not None), default=None),
        }  # fmt: skip


def _since(before: Row | None, standing: Standing) -> datetime:
    """A person who stays keeps the instant, also where settling began anew."""
    if before is not None and before["stage"] == standing.stage.value and before["stage_since"]:
        return before["stage_since"]  # type: ignore[no-any-return]
    return standing.since


def _standing(row: Row) -> Standing:
    return Standing(
        Stage(row["stage"]),
        row["stage_since"] or EPOCH,
        row["stage_next"],
        row["stage_next_since"],
        row["won_back_until"],
    )


def _orders(ids: Sequence[int], here: ZoneInfo) -> dict[int, list[Bought]]:
    """Standing orders of each person, oldest first; those dated ahead too, for they will come due."""
    standing = Order.objects.filter(STANDING, among("profile_id", ids))
    found: dict[int, list[Bought]] = defaultdict(list)
    for pk, at, net in standing.order_by("profile_id", "placed_at", "pk").values_list(
        "profile_id", "placed_at", "net_reporting"
    ):
        found[pk].append(Bought(at, at.astimezone(here).date(), net or 0))
    return found


def _next_of_everyone(edges: Edges, now: datetime) -> int | None:
    """The next page of the pass over everyone with an order that new edges start."""

    def page(after: int) -> tuple[int, int | None]:
        found = stale_page(after, now=now, zone=_zone(), edges=edges, limit=EVERYBODY)
        first = score_first(found.new, now=now, zone=_zone(), edges=edges)
        left = found.stale if first is None else [pk for pk in found.stale if pk not in found.new]
        quiet = Reason(dict.fromkeys(found.turned, False), anew=found.turned)  # another rule is nobody's act
        return (first or 0) + score_people(left, now=now, edges=edges, reason=quiet), found.last

    return next_of_everyone(PASS, edges.pk or 0, page, now=now)


def _next_of_silent(edges: Edges, now: datetime) -> int | None:
    """The next batch of those whose silence has passed a boundary."""
    return next_of_silent(Scores, partial(score_people, now=now, edges=edges), now=now)


def _edges_in_force(now: datetime) -> Edges:
    """The latest edges, or new ones: once each local day, and while few are scored, whenever half as many came."""
    row = RfmEdges.objects.order_by("-computed_at", "-pk").first()
    here = _zone()
    preset = settings.STAGE_PRESET
    if (
        row is None
        or local_date(row.computed_at, here) < local_date(now, here)
        or _outgrown(row)
        or row.preset != preset
    ):
        return compute_edges(now, zone=here, preset=preset)
    return latest_edges() or Edges()


def _outgrown(row: RfmEdges) -> bool:
    if row.population >= SMALL:
        return False
    return Scores.objects.filter(spent__gt=0).count() * 2 > max(1, row.population * 3)


def _zone() -> ZoneInfo:
    return zone(settings.WORKSPACE_ZONE)
