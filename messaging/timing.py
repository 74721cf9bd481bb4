"""What the hour at which people read has brought: for each rule, who waits for it against the compared group.

Everybody belongs who had clicked or opened in the channel before the period, so that an hour could be known of them in
either group, whether the rule then used it or not (intention to treat). A person counts once, however many messages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q

from messaging.best_hours import REACH
from messaging.gates import _policy as policy
from messaging.gates._policy import ALL, Best
from messaging.gates.best_hour import is_compared, rule_of
from messaging.models import Click, Delivery

ANSWERING = timedelta(days=4)  # a day of waiting at most, and three in which a click counts


@dataclass
class Group:
    """One arm of a rule: its people, their messages, and how many of the people clicked."""

    people: int = 0
    messages: int = 0
    clicked: int = 0


@dataclass(frozen=True)
class Timed:
    """One rule with both its groups."""

    rule: Best
    waiting: Group
    compared: Group

    @property
    def channel(self) -> str:
        """The rule's channel; "*" for one over all."""
        return "*" if self.rule.channel == ALL else self.rule.channel


def timed(start: datetime, end: datetime, *, now: datetime) -> list[Timed]:
    """Both groups of every rule in force, for messages planned in start ≤ at < end and at least four days ago. One
    statement, and memory that does not grow with the people."""
    rules = policy.current().best
    groups: dict[int, tuple[Group, Group]] = defaultdict(lambda: (Group(), Group()))
    rows = _sent(start, min(end, now - ANSWERING)) if rules else iter(())
    for public_id, theirs in groupby(rows, key=itemgetter("profile__public_id")):
        for rule, (sent, clicked) in _by_rule(list(theirs), rules).items():
            mine = groups[rule.pk][is_compared(rule.pk, rule.control, public_id)]
            mine.people += 1
            mine.messages += sent
            mine.clicked += clicked > 0
    return [Timed(rule, *groups[rule.pk]) for rule in rules]


def _by_rule(rows: list[Any], rules: tuple[Best, ...]) -> dict[Best, tuple[int, int]]:
    """A person's messages and clicks by the rule that held for them."""
    found: dict[Best, tuple[int, int]] = {}
    for row in rows:
        rule = rule_of(row, rules)
        if rule is not None:
            sent, clicked = found.get(rule, (0, 0))
            found[rule] = sent + row["sent"], clicked + row["clicked"]
    return found


def _sent(start: datetime, end: datetime) -> Iterator[Any]:
    """Marketing that was sent, or waited until it was too late, by person, channel, topic and campaign."""
    answered = Click.objects.filter(
        delivery__profile=OuterRef("profile"), delivery__channel=OuterRef("channel"), machine=False, why="",
        at__lt=start, at__gte=start - REACH,
    )  # fmt: skip
    in_time = Q(clicked_at__lte=F("planned_at") + ANSWERING)
    rows = Delivery.objects.filter(
        Exists(answered), Q(sent_at__isnull=False) | Q(state="expired"), klass="marketing", ghost=False,
        planned_at__gte=start, planned_at__lt=end,
    )  # fmt: skip
    named = rows.values("profile__public_id", "channel", "topic", "campaign")
    counted = named.annotate(sent=Count("pk"), clicked=Count("pk", filter=in_time))
    return counted.order_by("profile__public_id").iterator(chunk_size=2000)
