"""The engine: people come in by facts, walk node by node, and are where the clock and the facts say."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from django.db import OperationalError, connection

from campaigns import plans
from campaigns.engine import Advance, advance, tick
from campaigns.enrol import enrol
from campaigns.models import Enrolment, Journey, Visit
from campaigns.parked import drop_parked, retry_parked
from campaigns.publish import pause, resume
from campaigns.reads import funnel
from campaigns.steps import Go, Place, Result, Step, Walker, steps
from campaigns.triggers import Entry
from common.models import Parked
from common.params import Params
from messaging.models import Delivery
from segments.models import Badge, Benefit, CouponPool, PointEntry, Profile
from tests.campaigns.flows import (
    DONE,
    ORDER,
    conserved,
    flow,
    live,
    make_segment,
    make_template,
    node,
    path,
    react_all,
)
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


# one bad row does not hold up the others --------------------------------------------------------------------------


class Fragile(Step[Params]):
    """Fails for the people named in `bad`: the whole group with it when it is asked as a group."""

    key: ClassVar[str] = "fragile"
    Params = Params
    bad: ClassVar[set[int]] = set()

    def decide(self, group: Sequence[Walker], params: Params, place: Place, now: datetime) -> Mapping[int, Result]:
        if any(walker.profile in self.bad for walker in group):
            raise ValueError("cannot")
        return {walker.enrolment: Go() for walker in group}

    def say(self, params: Params, language: str) -> str:
        return "?"


@pytest.fixture
def fragile() -> Iterator[type[Fragile]]:
    """The step, registered for one test."""
    Fragile.bad = set()
    with steps.temporarily("fragile", Fragile()):
        yield Fragile


def test_a_failing_row_is_tried_again_with_back_off_then_parked_and_the_others_go_on(fragile) -> None:
    make_template("hello")
    live(flow({"s": node("send", "f", template="hello"), "f": node("fragile"), "done": DONE}))
    people = [make_profile() for _ in range(6)]
    fragile.bad = {people[2].pk}
    for one in people:
        make_fact(one, "Signed Up")
    react_all()
    assert advance(NOW) == Advance(claimed=6, ended=5, failed=1)
    walk = Enrolment.objects.get(profile=people[2])
    assert (walk.state, walk.node, walk.tries, walk.due_at) == ("active", "f", 1, NOW + timedelta(minutes=1))
    at = NOW
    for n, wait in enumerate((1, 5, 30, 120), start=2):
        at += timedelta(minutes=wait)
        assert advance(at - timedelta(seconds=1)).claimed == 0
        advance(at)
        assert Enrolment.objects.get(pk=walk.pk).tries == n
    walk.refresh_from_db()
    assert (walk.state, walk.reason, walk.due_at) == ("parked", "ValueError: cannot", None)
    parked = Parked.objects.get()
    assert (parked.reader, parked.subject, parked.reason) == ("engine", f"enrolment:{walk.pk}", "ValueError: cannot")
    assert Delivery.objects.count() == 6  # the message before the failing step was planned once
    assert conserved()

    fragile.bad = set()
    assert retry_parked([walk.pk], now=at) == 1
    assert advance(at).ended == 1
    assert Parked.objects.get().resolved_at == at
    assert path(walk) == [("s", "next"), ("f", "next"), ("done", "")]
    assert retry_parked([walk.pk], now=at) == 0
    assert conserved()


def test_parked_walks_can_be_dropped(fragile) -> None:
    live(flow({"f": node("fragile"), "done": DONE}))
    mei = make_profile()
    fragile.bad = {mei.pk}
    make_fact(mei, "Signed Up")
    react_all()
    advance(NOW)
    Enrolment.objects.update(tries=4, due_at=NOW)
    advance(NOW)
    walk = Enrolment.objects.get()
    assert walk.state == "parked"
    assert drop_parked([walk.pk], now=NOW, reason="not worth it") == 1
    walk.refresh_from_db()
    assert (walk.state, walk.reason) == ("exited", "not worth it")
    assert conserved()


def test_a_fault_of_the_database_undoes_the_batch_and_parks_nobody(fragile, monkeypatch) -> None:
    live(flow({"f": node("fragile"), "done": DONE}))
    make_fact(make_profile(), "Signed Up")
    react_all()

    def down(*_: object) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(fragile, "decide", down)
        with pytest.raises(OperationalError):
            advance(NOW)
    walk = Enrolment.objects.get()
    assert (walk.state, walk.tries, walk.visit) == ("active", 0, 0)
    assert advance(NOW).ended == 1


def test_a_version_whose_step_is_no_longer_installed_parks(fragile) -> None:
    live(flow({"f": node("fragile"), "done": DONE}))
    make_fact(make_profile(), "Signed Up")
    react_all()
    plans._known.clear()
    item = steps._items.pop("fragile")
    try:
        advance(NOW)
    finally:
        steps._items["fragile"] = item
        plans._known.clear()
    walk = Enrolment.objects.get()
    assert walk.state == "parked"
    assert "no step 'fragile'" in walk.reason
    assert conserved()


def test_an_erased_person_leaves() -> None:
    make_template("hello")
    live(flow({"s": node("send", template="hello"), "done": DONE}))
    mei = make_profile()
    make_fact(mei, "Signed Up")
    react_all()
    Profile.objects.filter(pk=mei.pk).update(erased_at=NOW)
    advance(NOW)
    assert (Enrolment.objects.get().state, Enrolment.objects.get().reason) == ("exited", "erased")
    assert not Delivery.objects.exists()
    assert conserved()


def test_a_long_chain_of_steps_goes_on_in_the_next_batch(fragile) -> None:
    nodes = {f"n{n}": node("fragile", f"n{n + 1}") for n in range(49)}
    live(flow({**nodes, "n49": DONE}))
    mei = make_profile()
    make_fact(mei, "Signed Up")
    react_all()
    assert tick(NOW) == Advance(claimed=1)
    assert (Enrolment.objects.get().node, Enrolment.objects.get().due_at) == ("n20", NOW)
    assert tick(NOW) == Advance(claimed=1)
    assert tick(NOW) == Advance(claimed=1, ended=1)
    assert [name for name, _ in path(Enrolment.objects.get())] == [f"n{n}" for n in range(50)]


def test_statements_do_not_grow_with_the_batch(django_assert_max_num_queries) -> None:
    make_template("hello")
    benefit = Benefit.objects.create(key="ten", name="10", kind="percent")
    CouponPool.objects.create(key="gift", name="gift", benefit=benefit, endless=True)
    Badge.objects.create(key="star", name="Star")
    arms = [{"key": "a", "weight": 1}, {"key": "b", "weight": 1}]
    vip = [{"name": "vip", "rule": {"op": "in_segment", "params": {"segment": "vip"}}}]
    make_segment("vip")
    ways = {"happened": "done", "timeout": "done"}
    nodes = {
        "g": node("grant", {"next": "p", "empty": "p"}, pool="gift"),
        "p": node("award", "s", points=5, badge="star"),
        "s": node("send", "b", template="hello"),
        "b": node("branch", {"vip": "x", "else": "x"}, branches=vip),
        "x": node("split", {"a": "w", "b": "w"}, arms=arms),
        "w": node("wait_for", ways, fact=ORDER, timeout="1d"),
        "done": DONE,
    }
    journey = live(flow(nodes))
    counts = []
    for size in (3, 60):
        enrol(journey, [Entry(make_profile(email=f"p{size}-{n}@example.com").pk, "k") for n in range(size)], now=NOW)
        with django_assert_max_num_queries(120) as seen:
            assert tick(NOW).claimed == size
        with django_assert_max_num_queries(20):
            assert tick(NOW).claimed == size  # the second look at the log
        counts.append(len(seen))
    assert counts[1] <= counts[0]
    assert Delivery.objects.count() == 63


# several engines at once ------------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_engines_that_run_at_once_do_each_node_once() -> None:
    make_template("hello")
    arms = [{"key": "a", "weight": 1}, {"key": "b", "weight": 1}]
    nodes = {
        "s": node("send", "x", template="hello"),
        "x": node("split", {"a": "p", "b": "w"}, arms=arms),
        "p": node("award", "w", points=1),
        "w": node("wait", for_="1s"),
        "done": DONE,
    }
    journey = live(flow(nodes))
    enrol(journey, [Entry(make_profile().pk, "k") for _ in range(200)], now=NOW)
    failures: list[BaseException] = []
    claimed: list[int] = []

    def run() -> None:
        try:
            claimed.append(advance(NOW, batch=20).claimed)
            claimed.append(advance(NOW + timedelta(seconds=1), batch=20).claimed)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    advance(NOW + timedelta(seconds=1))
    assert failures == []
    assert Enrolment.objects.filter(state="completed").count() == 200
    assert Delivery.objects.count() == 200
    assert Visit.objects.filter(node="s").count() == 200
    assert Visit.objects.filter(node="p").count() == PointEntry.objects.count() > 50
    assert conserved()


def test_conservation_holds_at_every_step_of_a_random_history(rng, fragile) -> None:
    """Facts, exits, pauses, failures and the clock in any order: nobody is lost, doubled or stuck."""
    make_template("hello")
    ways = {"happened": "s", "timeout": "f"}
    nodes = {
        "s": node("send", "q", template="hello"),
        "q": node("wait_for", ways, fact=ORDER, timeout="2d"),
        "f": node("fragile", "z"),
        "z": node("wait", for_="1d"),
        "done": DONE,
    }
    journey = live(flow(nodes, entry={"reentry": "after_exit"}, exits=[{"fact": "Left"}]), holdout=0.3)
    people = [make_profile() for _ in range(12)]
    at = NOW
    for _ in range(40):
        at += timedelta(hours=rng.randrange(1, 20))
        one = rng.choice(people)
        what = rng.choice(["Signed Up", "Signed Up", "Signed Up", ORDER, "Left", "break", "pause", "retry"])
        if what == "break":
            fragile.bad = {rng.choice(people).pk}
        elif what == "pause":
            (pause if Journey.objects.get(pk=journey.pk).state == "live" else resume)(journey, now=at)
        elif what == "retry":
            retry_parked(list(Enrolment.objects.filter(state="parked").values_list("pk", flat=True)), now=at)
        else:
            make_fact(one, what, at=at)
        react_all(at)
        advance(at)
        assert conserved()
    assert Enrolment.objects.exclude(state="refused").exists()
    figures = funnel(Journey.objects.get(pk=journey.pk)) | {}
    for figure in figures.values():
        assert figure.entered == figure.passed + figure.ended + figure.dropped + figure.waiting
