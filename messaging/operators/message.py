"""How many messages somebody was sent, and how many they opened or clicked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from django.db.models import Count, Q, QuerySet
from pydantic import Field

from common.comparing import (
    Compare,
    Days,
    meets,
    opposite,
    say_compare,
    say_window,
    within,
    zero_passes,
)
from common.semijoin import has_grouped
from common.text import say
from messaging.operators._messages import BOUNCED, MessageParams, facts_about, say_of, sent, unknown_template
from segments.facts.names import MESSAGE_CLICKED, MESSAGE_OPENED
from segments.models import Event
from segments.rules.operators import At, Drift, Edge, Operator, Reads, operators

FACTS = {"opened": MESSAGE_OPENED, "clicked": MESSAGE_CLICKED}
SAID = {
    "sent": ("was sent {} messages", "收到消息{} 条"),
    "delivered": ("got {} messages delivered", "送达消息{} 条"),
    "bounced": ("had {} messages bounce", "退信{} 条"),
    "opened": ("opened {} messages", "打开消息{} 条"),
    "clicked": ("clicked {} times in messages", "点击消息{} 次"),
}


class MessageCountParams(MessageParams):
    """Messages sent, delivered, bounced, opened or clicked in the last `days` or ever, compared with `count`."""

    what: Literal["sent", "delivered", "bounced", "opened", "clicked"] = "sent"
    op: Compare = "at_least"
    count: int = Field(default=1, ge=0, le=1_000_000)
    days: Days | None = None


@operators.register("message")
class Message(Operator[MessageCountParams]):
    """People's opens and clicks only, as facts; every click counts, of opens the first of a message. Delivered is what
    did not bounce. Sending is no fact, so a segment that asks for it is looked through once a day."""

    key = "message"
    family = "engagement"
    Params = MessageCountParams

    def q(self, params: MessageCountParams, at: At) -> Q:
        passed = zero_passes(params.op, params.count)
        test = (opposite if passed else meets)("messages", params.op, params.count)
        found = has_grouped(self._rows(params, at), at.among, test=test, messages=Count("pk"))
        return ~found if passed else found

    def _rows(self, params: MessageCountParams, at: At) -> QuerySet[Any]:
        if params.what in FACTS:
            facts = facts_about(Event.objects.filter(name=FACTS[params.what]), params)
            return within(facts, "occurred_at", params.days, at.now)
        rows = within(sent(params), "sent_at", params.days, at.now)
        if params.what == "sent":
            return rows
        return rows.filter(reached__in=BOUNCED) if params.what == "bounced" else rows.exclude(reached__in=BOUNCED)

    def say(self, params: MessageCountParams, language: str) -> str:
        number, window = say_compare(params.op, params.count, language), say_window(params.days, language)
        what = say(*SAID[params.what], language).format(number)
        of = say_of(params, language)
        return say(f"{what}{of} {window}", f"{window}{what}{of}", language)

    def blank(self, params: MessageCountParams) -> bool | None:
        return zero_passes(params.op, params.count)

    def reads(self, params: MessageCountParams) -> Reads:
        if params.what not in FACTS:
            return Reads(drift=Drift.DAILY)
        facts = frozenset({FACTS[params.what]})
        edges = () if params.days is None else (Edge(timedelta(days=params.days), facts),)
        return Reads(facts=facts, windows=edges)

    def check(self, params: MessageCountParams) -> list[str]:
        return unknown_template(params)
