"""Reading how journeys go: for each node who came, who is there, who went on and who was lost."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from campaigns.models import Enrolment, Journey, Visit

UNDER_WAY = Q(state__in=[Enrolment.State.ACTIVE, Enrolment.State.PARKED])


@dataclass(frozen=True)
class NodeCount:
    """One node in figures. Visits: `entered` = `passed` + `ended` + `dropped` + `waiting`.

    `passed` left by a port, `ended` came to the end there, `dropped` left the journey there (exit, goal, erasure,
    archive), `waiting` stand there now, `parked` of them until somebody helps. `converted` counts the walks that
    were here and reached the goal.
    """

    node: str
    entered: int = 0
    waiting: int = 0
    parked: int = 0
    passed: int = 0
    ended: int = 0
    dropped: int = 0
    converted: int = 0


def funnel(journey: Journey, *, version: int | None = None, ghosts: bool = False) -> dict[str, NodeCount]:
    """Figures by node key, of the people treated or (`ghosts`) of the held out; two statements.

    `version` is a version's number; None takes all.
    """
    visits = Visit.objects.filter(journey=journey, enrolment__ghost=ghosts)
    walks = Enrolment.objects.filter(UNDER_WAY, journey=journey, ghost=ghosts, visit__gt=0)
    if version is not None:
        visits, walks = visits.filter(enrolment__version__number=version), walks.filter(version__number=version)
    parked = dict(walks.filter(state=Enrolment.State.PARKED).values_list("node").annotate(n=Count("pk")).order_by())
    left = Q(left_at__isnull=False, port="")
    rows = visits.values("node").order_by().annotate(
        entered=Count("pk"),
        waiting=Count("pk", filter=Q(left_at__isnull=True)),
        passed=Count("pk", filter=~Q(port="")),
        ended=Count("pk", filter=left & Q(enrolment__state=Enrolment.State.COMPLETED)),
        dropped=Count("pk", filter=left & Q(enrolment__state=Enrolment.State.EXITED)),
        converted=Count("enrolment", filter=Q(enrolment__converted_at__isnull=False), distinct=True),
    )  # fmt: skip
    return {row["node"]: NodeCount(parked=parked.get(row["node"], 0), **row) for row in rows}
