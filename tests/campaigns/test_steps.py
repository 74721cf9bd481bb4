"""Each step: what it decides, what it makes happen once, and what it makes happen for nobody who is held out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from campaigns.engine import advance
from campaigns.models import Enrolment, Journey, Visit
from campaigns.publish import check
from campaigns.steps import steps
from common.params import Invalid
from messaging.models import Delivery
from segments.models import Badge, Benefit, Coupon, CouponPool, Grant, PointEntry
from tests.campaigns.flows import (
    DONE,
    ORDER,
    conserved,
    flow,
    live,
    make_campaign,
    make_segment,
    make_template,
    node,
    path,
    react_all,
    republish,
)
from tests.people import NOW, make_fact, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def make_pool(key: str = "gift", codes: int = 1) -> CouponPool:
    benefit, _ = Benefit.objects.get_or_create(key="ten", defaults={"name": "10", "kind": "percent", "amount": 1000})
    pool = CouponPool.objects.create(key=key, name=key, benefit=benefit)
    for n in range(codes):
        Coupon.objects.create(pool=pool, code=f"{key.upper()}{n}")
    return pool


def begin(*people) -> None:
    for one in people:
        make_fact(one, "Signed Up")
    react_all()
    advance(NOW)


def walk(person) -> Enrolment:
    return Enrolment.objects.get(profile=person)


# every step -------------------------------------------------------------------------------------------------------

SAMPLES = {
    "send": {"template": "hello"},
    "wait": {"for": "3d", "until": "09:00"},
    "wait_for": {"fact": ORDER, "timeout": "3d"},
    "branch": {"branches": [{"name": "vip", "rule": {"op": "in_segment", "params": {"segment": "vip"}}}]},
    "split": {"arms": [{"key": "a", "weight": 1}, {"key": "b", "weight": 3}]},
    "award": {"points": 10, "badge": "star"},
    "grant": {"pool": "gift"},
    "exit": {"reason": "done"},
    "time_window": {"from": "22:00", "to": "06:00", "days": [1, 5]},
    "holdout": {"share": 0.1},
    "goal_check": {},
    "update_traits": {"set": {"tier": "gold"}, "copy": {"plan": "event.properties.plan"}, "forget": ["old"]},
    "list_add": {"list": "vip"},
    "list_remove": {"list": "vip"},
    "enter_journey": {"journey": "other"},
    "jump": {},
}


def test_every_step_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(steps.keys())


@pytest.mark.parametrize("key", SAMPLES)
def test_every_step_speaks_both_languages_and_reads_its_own_parameters(key: str) -> None:
    step = steps.get(key)
    params = step.Params.model_validate(SAMPLES[key])
    english, chinese = step.say(params, "en"), step.say(params, "zh-hans")
    assert english
    assert english != chinese
    assert step.Params.model_validate(params.model_dump(mode="json", by_alias=True, exclude_none=True)) == params
    ports = list(step.ports(params))
    assert len(set(ports)) == len(ports)


def test_what_only_the_database_knows_is_told_at_publish_all_at_once() -> None:
    graph = flow({
        "s": node("send", "b", template="nope"),
        "b": node("branch", {"vip": "g", "else": "a"}, **SAMPLES["branch"]),
        "g": node("grant", {"next": "a", "empty": "a"}, pool="nope"),
        "a": node("award", badge="nope"),
        "done": DONE,
    }, goal={"key": "nope"})  # fmt: skip
    graph["trigger"] = {"type": "segment_entered", "params": {"segment": "nope"}}
    journey = Journey.objects.create(key="j", name="j", campaign=make_campaign(), draft=graph)
    with pytest.raises(Invalid) as caught:
        check(journey)
    assert [problem.path for problem in caught.value.problems] == [
        "trigger", "nodes.s", "nodes.b.params.branches.0.rule.params", "nodes.g", "nodes.a", "goal.key",
    ]  # fmt: skip


# send -------------------------------------------------------------------------------------------------------------


def test_a_version_is_pinned_at_publish() -> None:
    first = make_template("hello")
    journey = live(flow({"s": node("send", template="hello"), "done": DONE}))
    second = make_template("hello")
    mei, bo = make_profile(), make_profile()
    begin(mei)
    republish(journey, journey.draft)
    begin(bo)
    assert [Delivery.objects.get(profile=one).version for one in (mei, bo)] == [first, second]
    assert list(journey.versions.values_list("number", flat=True)) == [1, 2]


def test_a_template_version_that_is_gone_parks_with_the_reason() -> None:
    version = make_template("hello")
    live(flow({"s": node("send", template="hello"), "done": DONE}))
    version.delete()
    mei = make_profile()
    begin(mei)
    assert (walk(mei).state, walk(mei).reason) == ("parked", "CannotDo: template 'hello' has no version 1")
    assert conserved()


# wait -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "zone", "due"),
    [
        ({"for_": "90m"}, "", NOW + timedelta(minutes=90)),
        ({"until": "09:00"}, "Asia/Shanghai", datetime(2026, 3, 3, 1, tzinfo=UTC)),  # it is 20:00 there
        ({"until": "21:00"}, "Asia/Shanghai", datetime(2026, 3, 2, 13, tzinfo=UTC)),
        ({"for_": "1d", "until": "09:00"}, "America/New_York", datetime(2026, 3, 3, 14, tzinfo=UTC)),
        ({"for_": "5d", "until": "02:30"}, "America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),  # no 02:30 there
        ({"until": "09:00"}, "Nowhere/Else", datetime(2026, 3, 3, 1, tzinfo=UTC)),  # the workspace's zone
        ({"until": "09:00", "zone": "workspace"}, "America/New_York", datetime(2026, 3, 3, 1, tzinfo=UTC)),
        ({"until": "20:00"}, "Asia/Shanghai", datetime(2026, 3, 3, 12, tzinfo=UTC)),  # this very minute has begun
    ],
)
def test_waiting_for_times(settings, params, zone, due) -> None:
    settings.WORKSPACE_ZONE = "Asia/Shanghai"
    live(flow({"w": node("wait", **params), "done": DONE}))
    mei = make_profile(timezone=zone)
    begin(mei)
    assert walk(mei).due_at == due


def test_durations_follow_the_pace(settings) -> None:
    settings.DAY_SECONDS = 2
    live(flow({"w": node("wait", for_="3d"), "done": DONE}))
    mei = make_profile()
    begin(mei)
    assert walk(mei).due_at == NOW + timedelta(seconds=6)


# branch, split ----------------------------------------------------------------------------------------------------


def test_branches_are_asked_in_order() -> None:
    everyone = {"all": []}
    ways = {"no": "x", "all": "y", "never": "z", "else": "z"}
    nobody = {"not": {"all": []}}
    branches = [
        {"name": "no", "rule": nobody}, {"name": "all", "rule": everyone}, {"name": "never", "rule": everyone},
    ]  # fmt: skip
    live(flow({"b": node("branch", ways, branches=branches), "x": DONE, "y": DONE, "z": DONE}))
    mei = make_profile()
    begin(mei)
    assert path(walk(mei)) == [("b", "all"), ("y", "")]


def test_whoever_meets_no_rule_goes_by_else() -> None:
    ways = {"in": "x", "else": "y"}
    branches = [{"name": "in", "rule": {"op": "in_segment", "params": {"segment": "vip"}}}]
    mei, bo = make_profile(), make_profile()
    make_segment("vip", (mei,))
    live(flow({"b": node("branch", ways, branches=branches), "x": DONE, "y": DONE}))
    begin(mei, bo)
    assert path(walk(mei))[0] == ("b", "in")
    assert path(walk(bo))[0] == ("b", "else")


def test_a_split_draws_the_same_in_every_version_and_tells_the_message() -> None:
    make_template("hello")
    arms = [{"key": "a", "weight": 1}, {"key": "b", "weight": 1}]
    nodes = {"s": node("split", {"a": "m", "b": "m"}, arms=arms), "m": node("send", template="hello"), "done": DONE}
    journey = live(flow(nodes, entry={"reentry": "after_exit"}))
    people = [make_profile() for _ in range(24)]
    begin(*people)
    first = dict(Visit.objects.filter(node="s").values_list("enrolment__profile", "port"))
    assert set(first.values()) == {"a", "b"}
    assert dict(Delivery.objects.values_list("profile", "variant")) == first
    republish(
        journey,
        flow(
            {**nodes, "w": DONE, "s": node("split", {"a": "m", "b": "w"}, arms=arms)}, entry={"reentry": "after_exit"}
        ),
    )
    begin(*people)
    second = dict(
        Visit.objects.filter(node="s", enrolment__version__number=2).values_list("enrolment__profile", "port")
    )
    assert second == first


# award, grant -----------------------------------------------------------------------------------------------------


def test_an_award_happens_once() -> None:
    Badge.objects.create(key="star", name="Star")
    live(flow({"a": node("award", points=50, badge="star"), "done": DONE}))
    mei = make_profile()
    begin(mei)
    entry = PointEntry.objects.get()
    assert (entry.amount, entry.key, entry.reason) == (50, f"j:{walk(mei).pk}:a:1:points", "journey:welcome:a")
    assert mei.awards.get().key == f"j:{walk(mei).pk}:a:1:badge"


def test_a_coupon_becomes_a_variable_of_the_message_and_an_empty_pool_has_its_way_out() -> None:
    make_template("hello")
    make_pool(codes=1)
    nodes = {
        "g": node("grant", {"next": "s", "empty": "none"}, pool="gift"),
        "s": node("send", template="hello"), "done": DONE, "none": DONE,
    }  # fmt: skip
    live(flow(nodes))
    mei, bo = make_profile(), make_profile()
    begin(mei)
    begin(bo)
    sent = Delivery.objects.get()
    assert (sent.profile, sent.context["coupon"]["code"]) == (mei, "GIFT0")
    assert path(walk(bo)) == [("g", "empty"), ("none", "")]
    assert Visit.objects.get(enrolment=walk(bo), node="g").reason == "no coupon left in 'gift'"


def test_the_held_out_walk_the_same_way_and_get_nothing() -> None:
    make_template("ad", klass="marketing")
    make_template("receipt", klass="transactional")
    Badge.objects.create(key="star", name="Star")
    make_pool(codes=5)
    nodes = {
        "g": node("grant", {"next": "a", "empty": "done"}, pool="gift"),
        "a": node("award", "s", points=5, badge="star"),
        "s": node("send", "t", template="ad"),
        "t": node("send", template="receipt"),
        "done": DONE,
    }
    live(flow(nodes), holdout=1.0)
    mei = make_profile()
    begin(mei)
    assert walk(mei).ghost
    assert path(walk(mei)) == [("g", "next"), ("a", "next"), ("s", "next"), ("t", "next"), ("done", "")]
    assert not PointEntry.objects.exists()
    assert not mei.awards.exists()
    assert not Grant.objects.exists()
    assert Coupon.objects.filter(state="free").count() == 5
    assert dict(Delivery.objects.values_list("klass", "ghost")) == {"marketing": True, "transactional": False}
    reasons = dict(Visit.objects.values_list("node", "reason"))
    assert reasons["g"] == "held out: not executed"
    assert reasons["s"] == "held out: ghost message"
    assert conserved()
