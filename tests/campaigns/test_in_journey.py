"""The operator that asks where a person stands with a journey."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from campaigns.engine import advance
from campaigns.enrol import enrol
from campaigns.models import Enrolment
from campaigns.triggers import Entry
from segments.rules.compile import matching, people
from segments.rules.operators import At, operators
from segments.rules.parse import parse_rule
from tests.campaigns.flows import DONE, flow, live, node
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_tells_who_walks_who_finished_and_who_never_came() -> None:
    short, long = (
        live(flow({"done": DONE}), key="short"),
        live(flow({"w": node("wait", for_="1d"), "done": DONE}), key="long"),
    )
    mei, bo, gone = make_profile(), make_profile(), make_profile()
    enrol(short, [Entry(mei.pk, "1")], now=NOW)
    enrol(long, [Entry(bo.pk, "1")], now=NOW)
    enrol(short, [Entry(mei.pk, "2")], now=NOW)  # refused, and no entry
    advance(NOW)
    Enrolment.objects.filter(profile=bo).update(converted_at=NOW)
    at = At(NOW, ZoneInfo("UTC"))

    def found(journey: str, how: str) -> set[int]:
        rule = parse_rule({"op": "in_journey", "params": {"journey": journey, "how": how}})
        everyone = set(people(rule, at).values_list("pk", flat=True))
        assert matching(rule, [mei.pk, bo.pk, gone.pk], at) == everyone
        return everyone

    assert found("short", "ever") == found("short", "completed") == {mei.pk}
    assert found("short", "under_way") == found("long", "completed") == set()
    assert found("long", "under_way") == found("long", "converted") == {bo.pk}
    operator = operators.get("in_journey")
    assert operator.check(operator.Params(journey="nope")) == ["there is no journey 'nope'"]
    assert operator.say(operator.Params(journey="long"), "en") == "has ever entered the journey “long”"
