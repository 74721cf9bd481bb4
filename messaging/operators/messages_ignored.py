"""Whether somebody ignored the last few messages in a row."""

from __future__ import annotations

from django.db.models import Count, Exists, OuterRef, Q
from pydantic import Field

from common.semijoin import has_grouped
from common.text import say
from messaging.operators._messages import MessageParams, say_of, sent, unknown_template
from segments.facts.names import MESSAGE_CLICKED, MESSAGE_OPENED
from segments.rules.operators import At, Drift, Operator, Reads, operators


class MessagesIgnoredParams(MessageParams):
    """The last `count` messages were sent and none of them was opened, clicked or read by a person."""

    count: int = Field(default=5, ge=1, le=1000)


@operators.register("messages_ignored")
class MessagesIgnored(Operator[MessagesIgnoredParams]):
    """Counts the messages sent after the last one that was answered. Somebody who was sent fewer has ignored nothing.
    Sending is no fact, so a segment that asks this is looked through once a day; opens and clicks count at once."""

    key = "messages_ignored"
    family = "engagement"
    Params = MessagesIgnoredParams

    def q(self, params: MessagesIgnoredParams, at: At) -> Q:
        rows = sent(params).filter(sent_at__lte=at.now)
        seen = Q(opened_at__isnull=False) | Q(clicked_at__isnull=False) | Q(inbox_read_at__isnull=False)
        answered = rows.filter(seen, profile=OuterRef("profile"), sent_at__gte=OuterRef("sent_at"))
        since = rows.filter(~Exists(answered))
        return has_grouped(since, at.among, test=Q(ignored__gte=params.count), ignored=Count("pk"))

    def say(self, params: MessagesIgnoredParams, language: str) -> str:
        of, count = say_of(params, language), params.count
        some = "message" if count == 1 else f"{count} messages"
        return say(f"ignored the last {some}{of}", f"连续忽略了最近 {count} 条消息{of}", language)

    def blank(self, params: MessagesIgnoredParams) -> bool | None:
        return False

    def reads(self, params: MessagesIgnoredParams) -> Reads:
        return Reads(facts=frozenset({MESSAGE_OPENED, MESSAGE_CLICKED}), drift=Drift.DAILY)

    def check(self, params: MessagesIgnoredParams) -> list[str]:
        return unknown_template(params)
