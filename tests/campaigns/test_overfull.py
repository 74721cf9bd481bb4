"""A limit may end the walk whose message was one too many, and no other."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns.models import Enrolment, JourneyVersion
from campaigns.overfull import end_overfull
from messaging.models import Delivery
from tests.campaigns.flows import DONE, flow, live, node
from tests.messages import make_account, make_readers, make_version, queue_to
from tests.messaging.gated import LOCMEM, outcome, queue, rule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("over", "ends"), [("exit", 1), ("skip", 0)])
def test_above_a_limit_the_walk_may_end(now: datetime, settings: Any, over: str, ends: int) -> None:
    settings.MESSAGE_CAPS = settings.MESSAGE_GAPS = settings.QUIET_HOURS = ""
    make_account(transport="backend", settings=LOCMEM)
    rule(channel="email", at_most=1, period="day", over=over)
    journey = live(flow({"w": node("wait", for_="5d"), "done": DONE}), key="tour", now=now)
    version = JourneyVersion.objects.get(journey=journey)
    people = make_readers(2, now=now)
    walks = [
        Enrolment.objects.create(
            journey=journey, version=version, profile=who, state="active", node="w", entry_key=str(who.pk),
            entered_at=now, moved_at=now, due_at=now + timedelta(days=5),
        )
        for who in people
    ]  # fmt: skip
    assert outcome(queue(people[0], now, "before"), now) == ("accepted", "")
    for who, walk in zip(people, walks, strict=True):
        queue_to([who], make_version("tour", now=now), now=now, enrolment=walk.pk, journey="tour")
    many, one = (Delivery.objects.get(enrolment=walk.pk) for walk in walks)
    reason = "leaves:cap:email:day" if ends else "cap:email:day"
    assert outcome(many.pk, now) == ("skipped", reason)
    assert Delivery.objects.get(pk=one.pk).state == "accepted"
    later = now + timedelta(hours=1)
    assert [end_overfull(later), end_overfull(later)] == [ends, 0]
    fate = ("exited", "cap:email:day") if ends else ("active", "")
    assert list(Enrolment.objects.order_by("pk").values_list("state", "reason")) == [fate, ("active", "")]
