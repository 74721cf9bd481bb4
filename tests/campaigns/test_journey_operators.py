"""What happened in a journey, and who is held out, as rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from campaigns.engine import advance
from campaigns.enrol import enrol
from campaigns.models import Arm, Assignment, Enrolment, Experiment
from campaigns.triggers import Entry
from common.params import Invalid
from segments.rules.compile import matching, people
from segments.rules.explain import sentence
from segments.rules.operators import At
from segments.rules.parse import check_rule, parse_rule
from tests.campaigns.flows import DONE, flow, live, node
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def rule(op: str, /, **params: Any) -> Any:
    return parse_rule({"op": op, "params": params})


def found(op: str, /, *, after: timedelta = timedelta(0), **params: Any) -> set[int]:
    at = At(NOW + after, ZoneInfo("UTC"))
    everyone = set(people(rule(op, **params), at).values_list("pk", flat=True))
    assert matching(rule(op, **params), list(everyone), at) == everyone
    return everyone


def test_what_happened_in_a_journey_and_when() -> None:
    short, long = (
        live(flow({"done": DONE}), key="short"),
        live(flow({"w": node("wait", for_="9d"), "done": DONE}), key="long"),
    )
    mei, bo = make_profile(), make_profile()
    make_profile()
    enrol(short, [Entry(mei.pk, "1")], now=NOW)
    enrol(long, [Entry(bo.pk, "1")], now=NOW)
    enrol(short, [Entry(mei.pk, "2")], now=NOW + DAY)  # refused
    advance(NOW)
    Enrolment.objects.filter(profile=bo).update(converted_at=NOW + 2 * DAY)

    assert found("journey_history") == {mei.pk, bo.pk}
    assert found("journey_history", journey="short", days=1) == {mei.pk}
    assert found("journey_history", journey="short", days=1, after=DAY) == set()
    assert found("journey_history", journey="short", how="completed", days=1) == {mei.pk}
    assert found("journey_history", how="exited") == set()
    assert found("journey_history", how="refused", days=1, after=DAY) == {mei.pk}
    assert found("journey_history", how="converted", days=1) == set()
    assert found("journey_history", how="converted", days=1, after=2 * DAY) == {bo.pk}


def test_who_is_held_out_of_what() -> None:
    spring = live(flow({"done": DONE}), key="spring")
    live(flow({"done": DONE}), key="autumn")
    mei, bo, vip = make_profile(), make_profile(), make_profile()
    draw(mei.pk, "holdout", "old", ended=True)
    experiment = draw(bo.pk, "holdout", "new")
    draw(mei.pk, "holdout", "new", control=False)
    spring.experiment = experiment
    spring.save(update_fields=["experiment"])
    draw(vip.pk, "universal", "everything")

    assert found("held_out", journey="spring") == found("held_out") == {bo.pk}
    assert found("held_out", journey="autumn") == set()
    assert found("held_out", of="everything") == {vip.pk}
    Experiment.objects.update(ended_at=NOW)
    assert found("held_out", of="everything") == set()


def draw(profile: int, kind: str, key: str, *, control: bool = True, ended: bool = False) -> Experiment:
    experiment, _ = Experiment.objects.get_or_create(
        key=key,
        defaults={"name": key, "kind": kind, "salt": key, "started_at": NOW, "ended_at": NOW if ended else None},
    )
    arm, _ = Arm.objects.get_or_create(
        experiment=experiment,
        key=str(control),
        defaults={"position": int(not control), "weight": 0.5, "control": control},
    )
    Assignment.objects.create(experiment=experiment, profile_id=profile, arm=arm, at=NOW)
    return experiment


def test_their_words_and_errors() -> None:
    assert sentence(rule("journey_history", journey="vip", how="exited", days=7), "en") == (
        "exited the journey “vip” in the last 7 days"
    )
    assert sentence(rule("held_out", of="everything"), "zh-hans") == "属于全局对照组"
    with pytest.raises(Invalid, match="'everything' names no journey"):
        rule("held_out", of="everything", journey="vip")
    both = parse_rule(
        {
            "all": [
                {"op": "held_out", "params": {"journey": "no"}},
                {"op": "journey_history", "params": {"journey": "no"}},
            ]
        }
    )
    assert [str(problem) for problem in check_rule(both)] == [
        "all.0.params: there is no journey 'no'",
        "all.1.params: there is no journey 'no'",
    ]
