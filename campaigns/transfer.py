"""Moving people under way from older versions to a new one, or out: in bounded batches, each a transaction of its own,
with statements that do not depend on how many people there are.

Who is moved is on the new version, so a process that was killed is followed by one that goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F, Q
from django.utils.translation import gettext as _

from campaigns.endings import UNDER_WAY, Ending, end_walks
from campaigns.graph import Graph
from campaigns.mapping import EXIT, STAY, Plan, Standing, complete, is_same, problems, suggested
from campaigns.models import Enrolment, Journey, JourneyVersion, Transfer, Visit
from campaigns.plans import load_plans
from campaigns.rows import insert_rows, update_rows
from common.audit import record
from common.faults import faultpoint
from common.models import Parked
from common.params import Invalid
from common.states import ForbiddenMove, move

PAGE = 500
READER = "engine"  # under which parked walks are listed
PLACE = {
    "id": "bigint", "version_id": "bigint", "state": "text", "reason": "text", "node": "text", "visit": "integer",
    "due_at": "timestamptz", "awaiting": "text", "awaiting_since": "timestamptz", "tries": "smallint",
    "moved_at": "timestamptz",
}  # fmt: skip
CAME = {
    "enrolment_id": "bigint", "n": "integer", "journey_id": "bigint", "node": "text", "entered_at": "timestamptz",
    "port": "text", "reason": "text",
}  # fmt: skip
LEFT = {"enrolment_id": "bigint", "n": "integer", "left_at": "timestamptz", "reason": "text"}


class Busy(ForbiddenMove):
    """People of this journey are being moved already."""


@dataclass
class _Batch:
    """What becomes of one page of people."""

    kept: list[int] = field(default_factory=list)
    moved: list[tuple[int, str, str, int, str]] = field(default_factory=list)  # id, from, to, visit, state before
    left: list[int] = field(default_factory=list)


def standings(journey: Journey, new: Graph, *, but: int | None = None) -> list[Standing]:
    """Who stands where on versions other than `but` (an id), with where they would go; two statements."""
    rows = Enrolment.objects.filter(journey=journey, state__in=UNDER_WAY).exclude(version=but)
    counted = rows.values_list("version", "version__number", "node").annotate(n=Count("pk"))
    found = list(counted.order_by("-version__number", "node"))
    plans = load_plans(row[0] for row in found)
    return [_standing(plans[version].graph, number, node, n, new) for version, number, node, n in found]


def _standing(old: Graph | None, number: int, node: str, people: int, new: Graph) -> Standing:
    before, after = old.nodes.get(node) if old else None, new.nodes.get(node)
    return Standing(
        number,
        node,
        people,
        suggested(old, node, new),
        same=before is not None and is_same(before, after),
        gone=after is None,
        label=before.label if before else "",
        label_zh=before.label_zh if before else "",
    )


def older(journey: Journey, *, but: int | None) -> dict[int, Graph | None]:
    """The flows that people under way still walk, by version number."""
    rows = JourneyVersion.objects.filter(journey=journey, enrolments__state__in=UNDER_WAY).exclude(pk=but or 0)
    ids = dict(rows.distinct().values_list("pk", "number"))
    plans = load_plans(ids)
    return {number: plans[pk].graph for pk, number in sorted(ids.items(), key=lambda pair: pair[1])}


def plan_for(
    journey: Journey, new: Graph, fate: str, given: Mapping[str, Mapping[str, str]], *, but: int | None
) -> Plan:
    """The complete plan of a fate: "exit" takes everybody out, "move" moves as `given` says and suggests the rest.

    Raises Invalid with every place that cannot be.
    """
    olds = older(journey, but=but)
    if fate == "exit":
        return {str(number): dict.fromkeys(old.nodes if old else {}, EXIT) for number, old in olds.items()}
    found = problems(given, olds, new)
    plan = complete(given, olds, new)
    found += [one for one in problems(plan, olds, new) if one not in found]
    if found:
        raise Invalid(found)
    return plan


def begin(
    journey: Journey, version: JourneyVersion, plan: Plan, *, now: datetime, by: Any = None, reason: str = ""
) -> Transfer | None:
    """Note who is to move where; `run` does it, page by page. None when nobody is. Raises Busy when a transfer runs."""
    total = _to_move(journey, version, plan).count()
    if not total:
        return None
    try:
        with transaction.atomic():
            made = Transfer.objects.create(
                journey=journey, version=version, plan=plan, reason=reason[:200], total=total, started_at=now,
                started_by=by if getattr(by, "is_authenticated", False) and getattr(by, "pk", None) else None,
            )  # fmt: skip
            detail = {"version": version.number, "people": total, "plan": plan}
            record("journey.transfer", f"journey:{journey.key}", now=now, actor=by, reason=reason, detail=detail)
    except IntegrityError:
        raise Busy(_("people of this journey are being moved already")) from None
    return made


def run_all(now: datetime, *, go_on: Callable[[], bool] = lambda: True) -> int:
    """Go on with every transfer that is not done; returns how many people were dealt with."""
    total = 0
    for pk in Transfer.objects.filter(state=Transfer.State.RUNNING).order_by("pk").values_list("pk", flat=True):
        total += run(pk, now=now, go_on=go_on)
    return total


def run(pk: int, *, now: datetime, go_on: Callable[[], bool] = lambda: True) -> int:
    """Deal with people page by page until all are or `go_on` says no; returns how many were."""
    total = 0
    while True:
        done = _page(pk, now=now)
        total += done
        if not done or not go_on():
            return total


def cancel(transfer: Transfer, *, now: datetime, by: Any = None, reason: str = "") -> None:
    """Stop: who has been moved stays moved, the rest finish where they are. Raises ForbiddenMove when it is over."""
    with transaction.atomic():
        if not move(Transfer.objects.filter(pk=transfer.pk), Transfer.MOVES, "cancelled", finished_at=now):
            raise ForbiddenMove(_("this transfer is over already"))
        subject = f"journey:{transfer.journey.key}"
        record(
            "journey.transfer_cancelled", subject, now=now, actor=by, reason=reason, detail={"transfer": transfer.pk}
        )
    transfer.refresh_from_db()


def _to_move(journey: Journey, version: JourneyVersion, plan: Mapping[str, Mapping[str, str]]) -> Any:
    """People under way whom the plan concerns."""
    asked = Q(pk__in=())
    for number, ways in plan.items():
        nodes = [node for node, target in ways.items() if target != STAY]
        asked |= Q(version__number=int(number), node__in=nodes)
    rows = Enrolment.objects.filter(asked, journey=journey, state__in=UNDER_WAY)
    return rows.exclude(version=version)


def _page(pk: int, *, now: datetime) -> int:
    """One page in one transaction; 0 when nobody is left, somebody else is at it, or it was stopped."""
    with transaction.atomic():
        rows = Transfer.objects.filter(pk=pk, state=Transfer.State.RUNNING).select_related("journey", "version")
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, of=("self",))
        transfer = rows.first()
        if transfer is None:
            return 0
        batch, seen = _decide(transfer)
        _write(transfer, batch, now=now)
        faultpoint("in_transfer_page")
        counted = {"kept": len(batch.kept), "moved": len(batch.moved), "exited": len(batch.left)}
        ended = {"state": Transfer.State.DONE, "finished_at": now} if seen < PAGE else {}
        Transfer.objects.filter(pk=pk).update(**{name: F(name) + n for name, n in counted.items()}, **ended)
    return seen


def _decide(transfer: Transfer) -> tuple[_Batch, int]:
    """Lock the next people in the order of their ids and say what becomes of each."""
    rows = _to_move(transfer.journey, transfer.version, transfer.plan).order_by("pk")
    fields = ("pk", "version", "version__number", "node", "visit", "state")
    people = list(rows.select_for_update(of=("self",), no_key=True).values_list(*fields)[:PAGE])
    plans = load_plans({row[1] for row in people} | {transfer.version_id})
    new, batch = plans[transfer.version_id].graph, _Batch()
    assert new is not None
    for one, version, number, node, visit, state in people:
        target, old = transfer.plan[str(number)][node], plans[version].graph
        before = old.nodes.get(node) if old else None
        if target == EXIT:
            batch.left.append(one)
        elif target == node and state == Enrolment.State.ACTIVE and before and is_same(before, new.nodes.get(node)):
            batch.kept.append(one)
        else:
            batch.moved.append((one, node, target, visit, state))
    return batch, len(people)


def _write(transfer: Transfer, batch: _Batch, *, now: datetime) -> None:
    number = transfer.version.number
    if batch.kept:
        Enrolment.objects.filter(pk__in=batch.kept).update(version=transfer.version)
    if batch.moved:
        _arrive(transfer, batch.moved, now=now)
    end_walks([Ending(one, f"version:{number}") for one in batch.left], now=now)
    freed = [f"enrolment:{row[0]}" for row in batch.moved if row[4] == Enrolment.State.PARKED]
    freed += [f"enrolment:{one}" for one in batch.left]
    if freed:
        Parked.objects.filter(reader=READER, subject__in=freed, resolved_at__isnull=True).update(
            resolved_at=now, resolved_by=f"version {number}"
        )


def _arrive(transfer: Transfer, moved: list[tuple[int, str, str, int, str]], *, now: datetime) -> None:
    """Close the visit that people stand in and let them arrive at their new step; the engine then decides for them.

    Who had not set out yet (no visit) begins at the new step in the ordinary way.
    """
    version = transfer.version_id
    update_rows(
        Enrolment,
        PLACE,
        [(one, version, "active", "", to, visit + 1 if visit else 0, now, "", None, 0, now)
         for one, _node, to, visit, _state in moved],
    )  # fmt: skip
    why = f"version:{transfer.version.number}"
    update_rows(Visit, LEFT, [(one, visit, now, f"{why}:{to}") for one, _n, to, visit, _s in moved if visit], keys=2)
    came = [
        (one, visit + 1, transfer.journey_id, to, now, "", f"{why}:{node}")
        for one, node, to, visit, _s in moved
        if visit
    ]
    if came:
        insert_rows(Visit, CAME, came)
