"""The engine: people come in by facts, walk node by node, and are where the clock and the facts say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.engine import advance
from campaigns.models import Enrolment, Visit
from messaging.models import Delivery
from tests.campaigns.flows import DONE, ORDER, conserved, flow, live, make_template, node, path, react_all
from tests.people import NOW, make_fact, make_order, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def test_a_person_walks_from_the_fact_to_the_end() -> None:
    version = make_template("welcome")
    journey = live(
        flow({"hello": node("send", "wait", template="welcome"), "wait": node("wait", for_="3d"), "done": DONE})
    )
    mei = make_profile(email="mei@example.com", locale="zh-CN", timezone="Asia/Shanghai")
    make_fact(mei, "Signed Up", plan="free")
    assert react_all() == 1
    assert advance(NOW).claimed == 1

    walk = Enrolment.objects.get()
    assert (walk.state, walk.node, walk.due_at, walk.visit) == ("active", "wait", NOW + 3 * DAY, 2)
    assert path(walk) == [("hello", "next"), ("wait", "")]
    sent = Delivery.objects.get()
    assert sent.dedupe_key == f"j:{walk.pk}:hello:1:deliver"
    assert (sent.version_id, sent.journey, sent.campaign, sent.node) == (version.pk, "welcome", "spring", "hello")
    assert sent.context["event"]["properties"] == {"plan": "free"}
    assert sent.utm == {
        "utm_source": "perennial", "utm_medium": "email", "utm_campaign": "spring", "utm_id": "spring",
        "utm_content": "hello-zh-cn",
    }  # fmt: skip
    assert sent.expires_at == NOW + 3 * DAY

    assert advance(NOW + 3 * DAY - timedelta(seconds=1)).claimed == 0
    assert advance(NOW + 3 * DAY).ended == 1
    walk.refresh_from_db()
    assert (walk.state, walk.ended_at) == ("completed", NOW + 3 * DAY)
    assert conserved()
    assert journey.enrolments.count() == 1


def test_waiting_for_a_fact_goes_two_ways() -> None:
    ways = {"happened": "thanks", "timeout": "late"}
    live(flow({"w": node("wait_for", ways, fact=ORDER, timeout="3d"), "thanks": DONE, "late": DONE}))
    mei, bo = make_profile(), make_profile()
    for one in (mei, bo):
        make_fact(one, "Signed Up")
    react_all()
    advance(NOW)
    assert set(Enrolment.objects.values_list("due_at", "awaiting")) == {(NOW + 3 * DAY, ORDER)}
    make_order(mei, at=NOW + DAY)
    react_all(NOW + DAY)
    advance(NOW + DAY)
    assert path(Enrolment.objects.get(profile=mei)) == [("w", "happened"), ("thanks", "")]
    assert path(Enrolment.objects.get(profile=bo)) == [("w", "")]
    advance(NOW + 3 * DAY)
    assert path(Enrolment.objects.get(profile=bo)) == [("w", "timeout"), ("late", "")]
    assert conserved()
    assert Visit.objects.filter(left_at__isnull=True).count() == 0
