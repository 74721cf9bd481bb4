"""People under way and a new version: they finish, move by a mapping, or leave; in batches, once, whatever is killed."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns import transfer
from campaigns.engine import advance
from campaigns.enrol import enrol
from campaigns.graph import read_graph
from campaigns.mapping import EXIT, STAY, cautions, problems, suggested
from campaigns.models import Enrolment, Journey, Transfer, Visit
from campaigns.publish import FINISH, People, pause, publish, roll_back, transfer_people
from campaigns.triggers import Entry
from common import faults
from common.models import AuditEntry
from common.params import Invalid
from messaging.models import Delivery
from tests.campaigns.flows import DONE, conserved, flow, live, make_template, node, path
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
LONG = node("wait", "after", for_="10d")
FIRST = {"long": LONG, "after": node("send", template="hello"), "done": DONE}
MOVE = People("move")


def walking(people: int, nodes: dict[str, Any] = FIRST) -> Journey:
    """A live journey with people who stand at its first wait."""
    make_template("hello")
    row = live(flow(nodes, entry={"reentry": "after_exit"}), key="j")
    entries = [Entry(profile=make_profile(user_id=f"u{people}-{n}").pk, key=f"k{n}") for n in range(people)]
    enrol(row, entries, now=NOW)
    advance(NOW)
    return row


def next_version(row: Journey, nodes: dict[str, Any], people: People = FINISH, **parts: Any) -> Any:
    row.draft = flow(nodes, entry={"reentry": "after_exit"}, **parts)
    row.save(update_fields=["draft"])
    return publish(row, now=NOW, people=people)


def places() -> set[tuple[int, str, str]]:
    return set(Enrolment.objects.values_list("version__number", "node", "state"))


def test_people_finish_on_their_version_unless_told_otherwise() -> None:
    row = walking(2)
    next_version(row, {"other": DONE})
    assert places() == {(1, "long", "active")}
    assert not Transfer.objects.exists()


def test_who_stands_at_a_step_that_is_the_same_stays_with_the_wait_as_it_runs() -> None:
    row = walking(3)
    before = list(Enrolment.objects.order_by("pk").values_list("due_at", "visit", "moved_at", "awaiting_since"))
    version = next_version(row, {**FIRST, "after": node("award", points=5)}, MOVE)
    assert places() == {(2, "long", "active")}
    assert list(Enrolment.objects.order_by("pk").values_list("due_at", "visit", "moved_at", "awaiting_since")) == before
    done = Transfer.objects.get()
    assert (done.version, done.state, done.total, done.kept, done.moved, done.exited) == (version, "done", 3, 3, 0, 0)
    due = before[0][0]
    assert due is not None
    advance(due)
    assert {tuple(path(one)) for one in Enrolment.objects.all()} == {
        (("long", "next"), ("after", "next"), ("done", "")),
    }
    assert not Delivery.objects.exists()
    assert conserved()


def test_who_stands_at_a_step_that_is_gone_moves_as_said_with_the_reason() -> None:
    row = walking(2)
    version = next_version(
        row, {"mail": node("send", template="hello"), "done": DONE}, People("move", {"1": {"long": "mail"}})
    )
    assert places() == {(2, "mail", "active")}
    seen = list(Visit.objects.order_by("enrolment", "n").values_list("n", "node", "left_at", "reason"))
    assert seen == [(1, "long", NOW, "version:2:mail"), (2, "mail", None, "version:2:long")] * 2
    advance(NOW)
    assert Delivery.objects.filter(node="mail").count() == 2
    assert {one.state for one in Enrolment.objects.all()} == {"completed"}
    assert conserved()
    entry = AuditEntry.objects.get(action="journey.transfer")
    assert (entry.detail["version"], entry.detail["people"]) == (version.number, 2)


def test_a_changed_wait_begins_anew() -> None:
    row = walking(1)
    next_version(row, {**FIRST, "long": node("wait", "after", for_="1d")}, MOVE)
    one = Enrolment.objects.get()
    assert (one.version.number, one.visit, one.due_at) == (2, 2, NOW)
    advance(NOW)
    one.refresh_from_db()
    assert one.due_at is not None
    assert (one.due_at - NOW).days == 1


def test_everybody_may_be_taken_out() -> None:
    row = walking(3)
    next_version(row, {"other": DONE}, People("exit"))
    assert places() == {(1, "long", "exited")}
    assert set(Enrolment.objects.values_list("reason", flat=True)) == {"version:2"}
    assert set(Visit.objects.values_list("left_at", "reason")) == {(NOW, "version:2")}
    assert Transfer.objects.get().exited == 3
    assert conserved()


def test_each_place_has_its_own_fate() -> None:
    row = walking(4)
    ids = list(Enrolment.objects.order_by("pk").values_list("pk", flat=True))
    for one, at in zip(ids, ("after", "done", "long", "long"), strict=True):
        Enrolment.objects.filter(pk=one).update(node=at)
        Visit.objects.filter(enrolment=one).update(node=at)
    fates = {"1": {"after": EXIT, "done": STAY, "long": "fresh"}}
    next_version(row, {"fresh": node("wait", for_="1d"), "done": DONE}, People("move", fates))
    assert places() == {(1, "after", "exited"), (1, "done", "active"), (2, "fresh", "active")}
    made = Transfer.objects.get()
    assert (made.total, made.kept, made.moved, made.exited) == (3, 0, 2, 1)


def test_who_had_not_set_out_begins_at_the_new_step() -> None:
    make_template("hello")
    row = live(flow(FIRST), key="j")
    enrol(row, [Entry(profile=make_profile(user_id="u").pk, key="k")], now=NOW)
    next_version(row, {"fresh": node("wait", for_="1d"), "done": DONE}, People("move", {"1": {"long": "fresh"}}))
    advance(NOW)
    one = Enrolment.objects.get()
    assert (one.visit, path(one)) == (1, [("fresh", "")])
    assert conserved()


def test_a_parked_walk_is_freed_by_moving() -> None:
    row = walking(1)
    Enrolment.objects.update(state="parked", due_at=None, reason="broken")
    next_version(row, FIRST, FINISH, exits=[{"fact": "Order Completed"}])
    transfer_people(row, MOVE, now=NOW)
    one = Enrolment.objects.get()
    assert (one.state, one.node, one.visit, one.due_at) == ("active", "long", 2, NOW)


def test_people_of_several_versions_move_later_too_also_while_paused() -> None:
    row = walking(2)
    next_version(row, {**FIRST, "after": node("award", points=1)})
    row.refresh_from_db()
    enrol(row, [Entry(profile=make_profile(user_id="new").pk, key="n")], now=NOW)
    advance(NOW)
    next_version(row, {**FIRST, "after": node("award", points=2)})
    row.refresh_from_db()
    pause(row, now=NOW)
    assert transfer_people(row, MOVE, now=NOW) == 3
    assert places() == {(3, "long", "active")}
    assert transfer_people(row, MOVE, now=NOW) == 0


def test_rolling_back_asks_the_same_question() -> None:
    row = walking(2)
    next_version(row, {**FIRST, "after": node("award", points=1)}, MOVE)
    roll_back(row, 1, now=NOW, people=MOVE)
    assert places() == {(3, "long", "active")}


def test_a_killed_move_is_gone_on_with_and_nobody_moves_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAGE", 4)
    row = walking(10)
    crashes = iter([False, False, True])

    def crash(point: str) -> None:
        if point == "in_transfer_page" and next(crashes, False):
            raise KeyboardInterrupt

    faults.install(crash)
    try:
        next_version(row, {"fresh": node("wait", for_="1d"), "done": DONE}, People("move", {"1": {"long": "fresh"}}))
        made = Transfer.objects.get()
        assert (made.state, made.moved) == ("running", 4)
        with pytest.raises(KeyboardInterrupt):
            transfer.run(made.pk, now=NOW)
    finally:
        faults.install(None)
    made.refresh_from_db()
    assert (made.state, made.moved, Enrolment.objects.filter(version__number=2).count()) == ("running", 8, 8)
    assert transfer.run_all(NOW) == 2
    made.refresh_from_db()
    assert (made.state, made.moved, made.finished_at) == ("done", 10, NOW)
    assert set(Enrolment.objects.values_list("visit", flat=True)) == {2}
    assert Visit.objects.count() == 20
    assert transfer.run_all(NOW) == 0


def test_it_can_be_stopped_halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAGE", 2)
    row = walking(5)
    next_version(row, {"fresh": node("wait", for_="1d"), "done": DONE}, People("move", {"1": {"long": "fresh"}}))
    made = Transfer.objects.get()
    transfer.cancel(made, now=NOW, reason="wrong step")
    assert transfer.run_all(NOW) == 0
    assert (made.state, made.moved) == ("cancelled", 2)
    assert places() == {(2, "fresh", "active"), (1, "long", "active")}
    with pytest.raises(transfer.ForbiddenMove):
        transfer.cancel(made, now=NOW)


def test_statements_do_not_grow_with_people() -> None:
    counted = []
    for people in (2, 40):
        Enrolment.objects.all().delete()
        Journey.objects.filter(key="j").update(key=f"was-{people}")
        row = walking(people)
        row.draft = flow({"fresh": node("wait", for_="1d"), "done": DONE})
        row.save()
        with CaptureQueriesContext(
            connection,
        ) as asked:
            publish(row, now=NOW, people=People("move", {"1": {"long": "fresh"}}))
        counted.append(len(asked))
    assert counted[0] == counted[1]


def test_what_cannot_be_is_told_with_its_place_and_nothing_is_published() -> None:
    row = walking(1)
    row.draft = flow({"done": DONE})
    row.save()
    with pytest.raises(Invalid) as caught:
        publish(row, now=NOW, people=People("move", {"1": {"long": "nowhere"}, "7": {"a": "done"}}))
    assert {one.path: one.message for one in caught.value.problems} == {
        "1.long": "there is no node 'nowhere'", "7": "nobody is on a version 7",
    }  # fmt: skip
    assert row.versions.count() == 1
    with pytest.raises(Invalid):
        publish(row, now=NOW, people=People("vanish"))


def test_people_do_not_change_arms() -> None:
    arms = [{"key": "a", "weight": 1}, {"key": "b", "weight": 1}]
    old = read_graph(flow({
        "draw": node("split", {"a": "wa", "b": "wb"}, arms=arms), "wa": LONG | {"next": {"next": "done"}},
        "wb": node("wait", for_="2d"), "done": DONE,
    }))  # fmt: skip
    assert problems({"1": {"wa": "wb"}}, {1: old}, old)[0].path == "1.wa"
    assert problems({"1": {"wa": "wa", "wb": EXIT, "draw": STAY}}, {1: old}, old) == []
    more = [*arms, {"key": "c", "weight": 1}]
    new = read_graph(flow({
        "draw": node("split", {"a": "wa", "b": "wb", "c": "done"}, arms=more), "wa": node("wait", for_="3d"),
        "wb": node("wait", for_="2d"), "done": DONE,
    }))  # fmt: skip
    said = [str(one) for one in cautions({"1": {"wa": "draw", "wb": "wb"}}, {1: old}, new)]
    assert said == ["1.wa: is drawn anew at the split 'draw', whose arms differ"]


def test_a_message_that_would_come_again_and_a_wait_that_begins_anew_are_said() -> None:
    old = read_graph(
        flow({"mail": node("send", "long", template="hello"), "long": node("wait", for_="2d"), "done": DONE})
    )
    new = read_graph(
        flow({"mail": node("send", "long", template="hello"), "long": node("wait", for_="3d"), "done": DONE})
    )
    said = [str(one) for one in cautions({"1": {"long": "mail"}}, {1: old}, new)]
    assert said == ["1.long: may get again: mail"]
    assert [str(one) for one in cautions({"1": {"long": "long"}}, {1: old}, new)] == [
        "1.long: the wait at 'long' begins anew"
    ]
    assert cautions({"1": {"long": "long"}}, {1: old}, old) == []
    assert [suggested(old, key, new) for key in ("mail", "long", "gone")] == ["mail", "long", STAY]
