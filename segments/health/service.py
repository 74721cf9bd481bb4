"""Service response: which share of somebody's tickets of the last 90 days was answered in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from common.params import Params
from common.text import say
from segments.health import About, Mark, Metric, metrics
from segments.health._marks import TICKET_ANSWERED, TICKET_CLOSED, TICKET_OPENED, told

OPENED, ANSWERED = 1.0, 2.0


class ServiceParams(Params):
    """In time is on the day of opening or at most `days` calendar days later."""

    days: Annotated[int, Field(ge=0, le=30)] = 1


@metrics.register("service")
class Service(Metric[ServiceParams]):
    """Tickets are facts with a `ticket_id`: "Ticket Opened", "Ticket Answered", "Ticket Closed".

    A ticket without an answer counts as slow once its time is over, and not at all before; closing is an answer.
    """

    key = "service"
    place = 3
    weight = 0.15
    bounds = (0.0, 100.0)
    width = 90
    Params = ServiceParams

    def facts(self, params: ServiceParams) -> frozenset[str]:
        return frozenset({TICKET_OPENED, TICKET_ANSWERED, TICKET_CLOSED})

    def marks(self, params: ServiceParams, about: About) -> Iterator[tuple[int, Mark]]:
        for pk, name, mark, said in told(about, self.facts(params)):
            ticket = said.get("ticket_id")
            if ticket is not None:
                yield pk, mark._replace(what=str(ticket), number=OPENED if name == TICKET_OPENED else ANSWERED)

    def value(self, params: ServiceParams, marks: Sequence[Mark], today: date) -> float | None:
        opened, answered = _first(marks, OPENED), _first(marks, ANSWERED)
        judged = []
        for ticket, day in opened.items():
            due = day + timedelta(days=params.days)
            if ticket in answered or today > due:
                judged.append(answered.get(ticket, date.max) <= due)
        return 100 * sum(judged) / len(judged) if judged else None

    def title(self, language: str) -> str:
        return say("Service response", "服务响应", language)

    def say(self, params: ServiceParams, value: float, language: str) -> str:
        return say(f"{value:.0f}% of tickets answered in time", f"{value:.0f}% 的工单及时答复", language)

    def delays(self, params: ServiceParams) -> tuple[int, ...]:
        return (params.days + 1, self.width)


def _first(marks: Iterable[Mark], kind: float) -> dict[str, date]:
    """The first day of each ticket's marks of a kind."""
    found: dict[str, date] = {}
    for mark in marks:
        if mark.number == kind:
            found[mark.what] = min(mark.day, found.get(mark.what, mark.day))
    return found
