"""Merge, then undo: every table is as it was, whatever the two people had; and a large merge takes no long breath."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from campaigns.credit import recredit
from campaigns.models import Assignment, Conversion, Enrolment, Touch, Visit
from common.faults import install
from common.models import AuditEntry
from messaging.models import Address, Delivery
from segments.growth.ledger import balance, earn, spend
from segments.merge import TwoKnownPeople, merge
from segments.models import (
    Event,
    Membership,
    Merge,
    MissionProgress,
    PointEntry,
    Profile,
    Scores,
    Wallet,
)
from segments.unmerge import undo
from tests.campaigns.stories import click, make_delivery, read_all, visit
from tests.people import NOW, make_fact, make_order, make_profile
from tests.whole import live_a_life, make_ground

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=3)
TOLD = {"common.AuditEntry", "segments.Merge"}  # the log of what was done
ANEW = {"segments.Health"}  # measured anew after every merge and undo (segments.health_moves)
COUNTED = {"segments.EventStats", "campaigns.Credit"}  # made anew: the same rows under new ids


def state() -> dict[str, list[str]]:
    """Every row of every table that a merge may touch."""
    found = {}
    for model in apps.get_models():
        label = model._meta.label
        if label in TOLD | ANEW:
            continue
        rows = model._default_manager.order_by("pk").values()
        if label == "segments.Event":
            rows = rows.exclude(name="@merged")
        if label in COUNTED:
            rows = [{name: value for name, value in row.items() if name != "id"} for row in rows]
        spared = {"campaigns.Conversion": {"credited_at"}, "segments.ListMember": {"id", "added_at"}}.get(label)
        if spared:
            rows = [{name: value for name, value in row.items() if name not in spared} for row in rows]
        found[label] = sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)
    return found


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, Any]:
    return {
        label: (sorted(set(rows) - set(after[label])), sorted(set(after[label]) - set(rows)))
        for label, rows in before.items()
        if rows != after[label]
    }


def vary(rng: random.Random, one: Profile, other: Profile, ground: dict[str, Any]) -> None:
    """Take something away from, and give something to, either of two whole lives."""
    for person in (one, other):
        for model in (Scores, Membership, MissionProgress, Assignment, Touch, Address):
            if rng.random() < 0.4:
                model._default_manager.filter(profile=person).delete()
        if rng.random() < 0.4:
            Enrolment.objects.filter(profile=person).update(
                state="completed", ended_at=NOW, due_at=None, awaiting="", awaiting_since=None
            )
        for n in range(rng.randrange(4)):
            make_fact(person, rng.choice(["Viewed", "Left", "Paid"]), at=NOW + timedelta(hours=n))
        for n in range(rng.randrange(3)):
            make_order(person, f"{person.pk}-{n}", total=rng.randrange(1, 900))
        if rng.random() < 0.5:
            earn(person.pk, 30, key=f"more-{person.pk}", reason="x", now=NOW)
            spend(person.pk, rng.randrange(1, 60), key=f"less-{person.pk}", reason="x", now=NOW)
        columns = {name: "" for name in ("city", "email", "gender") if rng.random() < 0.5}
        Profile.objects.filter(pk=person.pk).update(**columns, traits={"a": 1} if rng.random() < 0.5 else {})
    if rng.random() < 0.5:
        message = make_delivery(other)
        click(other, message, NOW)
        visit(one, NOW + timedelta(seconds=20))
        read_all()
    recredit(Conversion.objects.values_list("pk", flat=True), now=NOW)
    Enrolment.objects.filter(profile=one).update(entry_key="same")
    Enrolment.objects.filter(profile=other).update(entry_key="same")


@pytest.mark.parametrize("seed", range(8))
def test_merge_then_undo_restores_everything(seed: int, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other pair is so large that its facts go ahead, one or two at a time."""
    rng.seed(f"{rng.random()}:{seed}")
    if seed % 4 > 1:
        monkeypatch.setattr("segments.merge_pieces.STEP", 1 + seed // 4)
        monkeypatch.setattr("segments.unmerge.STEP", 2 - seed // 4)
    ground = make_ground()
    one, other = live_a_life("one", ground, known=seed % 2 == 0), live_a_life("other", ground)
    vary(rng, one, other, ground)
    before = state()
    merge(one, other, now=LATER, actor="root", reason="the same person", force=True)
    assert differences(before, state())
    one.refresh_from_db()
    undo(one, now=LATER + timedelta(hours=1), actor="root", reason="two people after all")
    assert differences(before, state()) == {}
    row = Merge.objects.get()
    assert (row.undone_by, row.kept, row.finished_at) == ("root", {}, LATER)
    told = AuditEntry.objects.filter(actor_name="root", subject=f"person:{other.public_id}", detail__gone=one.pk)
    assert sorted(told.values_list("action", flat=True)) == ["person.merge", "person.unmerge"]


def test_a_chain_is_undone_from_wherever_the_rows_are_by_now() -> None:
    first, second, third = (make_profile(anonymous_id=name) for name in "abc")
    for person in (first, second, third):
        make_fact(person, "Viewed")
        make_delivery(person)
    merge(first, second, now=NOW, actor="root", reason="")
    merge(second, third, now=NOW, actor="root", reason="")
    first.refresh_from_db()
    undo(first, now=LATER, actor="root", reason="")
    assert Event.objects.filter(profile=first, name="Viewed").count() == 1
    assert Event.objects.filter(profile=third, name="Viewed").count() == 2
    assert [Delivery.objects.filter(profile=one).count() for one in (first, second, third)] == [1, 0, 2]
    second.refresh_from_db()
    undo(second, now=LATER, actor="root", reason="")
    assert [Delivery.objects.filter(profile=one).count() for one in (first, second, third)] == [1, 1, 1]
    assert not Event.objects.filter(origin__isnull=False).exists()


def test_points_that_were_spent_since_stay_with_whoever_spent_them() -> None:
    gone, into = make_profile(anonymous_id="a"), make_profile(user_id="u")
    earn(gone.pk, 100, key="g1", reason="x", now=NOW)
    earn(gone.pk, 40, key="g2", reason="x", now=NOW + timedelta(seconds=1))
    earn(into.pk, 10, key="i1", reason="x", now=NOW + timedelta(seconds=2))
    merge(gone, into, now=LATER, actor="root", reason="")
    assert balance(into.pk, LATER).active == 150
    spend(into.pk, 60, key="s", reason="x", now=LATER)
    gone.refresh_from_db()
    undo(gone, now=LATER, actor="root", reason="")
    assert (balance(gone.pk, LATER).active, balance(into.pk, LATER).active) == (40, 50)
    assert dict(Wallet.objects.values_list("pk", "balance")) == {gone.pk: 40, into.pk: 50}
    assert PointEntry.objects.get(key="g1").wallet_id == into.pk


def test_the_survivors_arm_stands_and_both_draws_come_back() -> None:
    ground = make_ground()
    gone, into = live_a_life("gone", ground, known=False), live_a_life("into", ground)
    arms = dict(Assignment.objects.values_list("profile", "arm"))
    assert arms[gone.pk] != arms[into.pk]
    merge(gone, into, now=LATER, actor="root", reason="")
    assert list(Assignment.objects.values_list("profile", "arm")) == [(into.pk, arms[into.pk])]
    gone.refresh_from_db()
    undo(gone, now=LATER, actor="root", reason="")
    assert dict(Assignment.objects.values_list("profile", "arm")) == arms


def test_a_walk_that_only_the_merge_ended_goes_on() -> None:
    ground = make_ground()
    gone, into = live_a_life("gone", ground, known=False), live_a_life("into", ground)
    merge(gone, into, now=LATER, actor="root", reason="")
    assert sorted(Enrolment.objects.values_list("state", flat=True)) == ["active", "exited"]
    assert Visit.objects.filter(left_at=None).count() == 1
    gone.refresh_from_db()
    undo(gone, now=LATER, actor="root", reason="")
    assert sorted(Enrolment.objects.values_list("state", flat=True)) == ["active", "active"]
    assert Visit.objects.filter(left_at=None).count() == 2


def test_two_known_people_merge_only_on_purpose() -> None:
    one, other = make_profile(user_id="a"), make_profile(user_id="b")
    with pytest.raises(TwoKnownPeople):
        merge(one, other, now=NOW, actor="root", reason="")
    assert not Merge.objects.exists()
    merge(one, other, now=NOW, actor="root", reason="she married", force=True)
    assert Merge.objects.get().reason == "she married"


@pytest.mark.parametrize("way", ["merge", "undo"])
def test_a_large_merge_goes_in_pieces_and_is_finished_after_a_fall(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.merge_pieces.STEP", 5)
    monkeypatch.setattr("segments.unmerge.STEP", 5)
    gone, into = make_profile(anonymous_id="a"), make_profile(user_id="u")
    for n in range(23):
        make_fact(gone, "Viewed", at=NOW + timedelta(minutes=n))
    largest: list[int] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if sql.startswith(('UPDATE "segments_event"', "UPDATE segments_event")):
            largest.append(context["cursor"].rowcount)
        return answer

    def fall(name: str) -> None:
        if name == {"merge": "before_merge_commit", "undo": "before_unmerge_commit"}[way]:
            raise InterruptedError(name)

    if way == "undo":
        merge(gone, into, now=NOW, actor="root", reason="")
        gone.refresh_from_db()
    install(fall)
    try:
        with connection.execute_wrapper(watch), pytest.raises(InterruptedError):
            _go(way, gone, into)
    finally:
        install(None)
    assert Event.objects.filter(profile=into, name="Viewed").count() == {"merge": 20, "undo": 3}[way]
    with connection.execute_wrapper(watch):
        _go(way, gone, into)
    left = {"merge": into, "undo": gone}[way]
    assert Event.objects.filter(profile=left, name="Viewed").count() == 23
    assert max(largest) == 5


def test_an_unfinished_merge_can_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.merge_pieces.STEP", 2)
    gone, into = make_profile(anonymous_id="a"), make_profile(user_id="u")
    for n in range(5):
        make_fact(gone, "Viewed", at=NOW + timedelta(minutes=n))

    def fall(name: str) -> None:
        raise InterruptedError(name)

    install(fall)
    try:
        with pytest.raises(InterruptedError):
            merge(gone, into, now=NOW, actor="root", reason="")
    finally:
        install(None)
    gone.refresh_from_db()
    assert gone.merged_into is None
    undo(gone, now=LATER, actor="root", reason="wrong one")
    assert Event.objects.filter(profile=gone, name="Viewed").count() == 5
    assert not Event.objects.filter(origin__isnull=False).exists()


def _go(way: str, gone: Profile, into: Profile) -> None:
    if way == "merge":
        merge(gone, into, now=NOW, actor="root", reason="")
    else:
        undo(gone, now=LATER, actor="root", reason="")


def test_moved_facts_trigger_nothing() -> None:
    """Readers stand behind facts that moved: nothing but the fact of the merge itself is new to them."""
    gone, into = make_profile(anonymous_id="a"), make_profile(user_id="u")
    make_fact(gone, "Viewed")
    places = list(Event.objects.order_by("pk").values_list("tx", "pk", "shard"))
    merge(gone, into, now=LATER, actor="root", reason="")
    after = list(Event.objects.order_by("pk").values_list("tx", "pk", "shard", "name"))
    assert [row[:3] for row in after if row[3] == "Viewed"] == places
    assert [row[3] for row in after if (row[0], row[1]) > (places[-1][0], places[-1][1])] == ["@merged"]
