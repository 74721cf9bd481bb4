"""A visitor becomes a known person; two known people never become one by accident; and there is a way back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from common.models import AuditEntry
from segments.ingest import ingest
from segments.merge import MergeHandler, Pair, TwoKnownPeople, handlers, merge
from segments.models import Event, EventStats, Identity, Order, Profile
from segments.people import find_or_create
from segments.unmerge import undo
from tests.people import NOW, make_fact, make_order, make_profile, make_source

pytestmark = pytest.mark.django_db


def take(*calls: dict[str, Any], source: Any = None) -> list[str]:
    rows = [{"messageId": f"{hash(str(call))}", **call} for call in calls]
    return [row.code or row.status for row in ingest(rows, source=source or make_source(), now=NOW)]


def visit(anonymous: str, event: str = "Viewed", **also: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "anonymousId": anonymous, **also}


def identify(user: str, anonymous: str = "", **traits: Any) -> dict[str, Any]:
    names = {"anonymousId": anonymous} if anonymous else {}
    return {"type": "identify", "userId": user, **names, "traits": traits}


def holder(kind: str, value: str) -> Profile:
    return Identity.objects.select_related("profile").get(kind=kind, value=value).profile


def test_a_new_user_id_adopts_the_visitor() -> None:
    take(visit("a1"))
    assert take(identify("mei", "a1")) == ["stored"]
    assert Profile.objects.count() == 1
    assert holder("user_id", "mei") == holder("anonymous_id", "a1")
    assert not AuditEntry.objects.filter(action="person.merge").exists()


def test_a_visitor_merges_into_the_known_person() -> None:
    mei = make_profile(user_id="mei", city="Bonn", traits={"plan": "gold"})
    take(
        visit("a1"),
        visit("a1", properties={"n": 2}),
        {"type": "identify", "anonymousId": "a1", "traits": {"plan": "x", "shoe": 38}},
    )
    anonymous = holder("anonymous_id", "a1")
    make_order(anonymous, "o1", total=700)
    make_fact(mei, "Viewed")
    before = {event.pk: (event.tx, event.shard) for event in Event.objects.filter(profile=anonymous)}
    assert take(identify("mei", "a1", email="mei@example.com")) == ["stored"]
    anonymous.refresh_from_db()
    mei.refresh_from_db()
    assert anonymous.merged_into == mei
    assert (mei.email, mei.city, mei.traits) == ("mei@example.com", "Bonn", {"plan": "gold", "shoe": 38})
    moved = Event.objects.filter(origin=anonymous.pk)
    assert {event.pk: (event.tx, event.shard) for event in moved} == before
    assert set(moved.values_list("profile", flat=True)) == {mei.pk}
    stats = {row.name: (row.count, row.amount) for row in EventStats.objects.filter(profile=mei)}
    assert stats == {"Viewed": (3, None), "Order Completed": (1, 700), "identify": (2, None)}
    assert not EventStats.objects.filter(profile=anonymous).exists()
    assert Order.objects.get().profile == mei
    told = Event.objects.get(name="@merged")
    assert (told.profile, told.properties, told.kind) == (mei, {"from": str(anonymous.public_id)}, "system")
    entry = AuditEntry.objects.get(action="person.merge")
    assert (entry.actor_name, entry.subject) == ("ingest", f"person:{mei.public_id}")


def test_the_way_back_returns_exactly_what_came() -> None:
    mei = make_profile(user_id="mei")
    take(visit("a1"), visit("a1", properties={"n": 2}))
    make_fact(mei, "Viewed")
    anonymous = holder("anonymous_id", "a1")
    merge(anonymous, mei, now=NOW, actor="admin", reason="same person")
    assert EventStats.objects.get(profile=mei, name="Viewed").count == 3
    anonymous.refresh_from_db()
    undo(anonymous, now=NOW + timedelta(hours=1), actor="admin", reason="not the same")
    anonymous.refresh_from_db()
    assert anonymous.merged_into is None
    assert holder("anonymous_id", "a1") == anonymous
    assert EventStats.objects.get(profile=mei, name="Viewed").count == 1
    assert EventStats.objects.get(profile=anonymous, name="Viewed").count == 2
    assert not Event.objects.filter(origin__isnull=False).exists()
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"person.merge", "person.unmerge"}


def test_the_way_back_of_a_chain_takes_along_what_came_before() -> None:
    first, second, third = (make_profile(anonymous_id=name) for name in "abc")
    for person in (first, second, third):
        make_fact(person, "Viewed")
    merge(first, second, now=NOW, actor="admin", reason="")
    merge(second, third, now=NOW, actor="admin", reason="")
    second.refresh_from_db()
    undo(second, now=NOW, actor="admin", reason="")
    assert EventStats.objects.get(profile=second).count == 2
    assert EventStats.objects.get(profile=third).count == 1


def test_two_known_people_stay_two() -> None:
    mei, bo = make_profile(user_id="mei", anonymous_id="a1"), make_profile(user_id="bo")
    assert take(identify("bo", "a1")) == ["stored"]
    assert holder("anonymous_id", "a1") == mei
    assert take({"type": "alias", "userId": "bo", "previousId": "mei"}) == ["known_person"]
    assert take({"type": "alias", "userId": "bo", "previousId": "a1"}) == ["known_person"]
    with pytest.raises(TwoKnownPeople):
        merge(mei, bo, now=NOW, actor="admin", reason="")
    assert Profile.objects.filter(merged_into=None).count() == 2
    merge(mei, bo, now=NOW, actor="admin", reason="she married", force=True)
    assert holder("user_id", "mei") == bo


def test_a_shared_address_joins_nobody_with_a_user_id() -> None:
    mei = make_profile(user_id="mei", email="home@example.com")
    take(identify("bo", email="home@example.com"))
    bo = holder("user_id", "bo")
    assert bo != mei
    assert bo.email == "home@example.com"
    assert holder("email", "home@example.com") == mei


def test_a_subscriber_known_by_address_becomes_the_user_who_names_it() -> None:
    subscriber = make_profile(email="mei@example.com")
    take(identify("mei", email="Mei@example.com"))
    assert holder("user_id", "mei") == subscriber


def test_an_unproven_address_of_a_visitor_joins_nothing() -> None:
    subscriber = make_profile(email="mei@example.com")
    take({"type": "identify", "anonymousId": "a1", "traits": {"email": "mei@example.com"}})
    assert holder("anonymous_id", "a1") != subscriber


def test_a_track_with_both_ids_links_nothing() -> None:
    take({"type": "track", "event": "Viewed", "userId": "mei", "anonymousId": "shared"})
    assert not Identity.objects.filter(kind="anonymous_id").exists()


def test_alias_joins_the_earlier_visitor() -> None:
    take(visit("a1"), identify("mei"))
    assert take({"type": "alias", "userId": "mei", "previousId": "a1"}) == ["stored"]
    assert holder("anonymous_id", "a1") == holder("user_id", "mei")


def test_visit_identify_and_order_in_one_batch_are_one_person() -> None:
    make_profile(user_id="mei")
    order = {"type": "track", "event": "Order Completed", "properties": {"order_id": "1", "total": 5}}
    assert take(visit("a1"), {**order, "userId": "mei"}, identify("mei", "a1"), visit("a1", "Left")) == ["stored"] * 4
    assert Profile.objects.filter(merged_into=None).count() == 1
    assert Event.objects.values("profile").distinct().count() == 1


def test_a_browsers_key_says_nothing_of_known_people_or_money() -> None:
    browser = make_source("page", browser=True)
    mei = make_profile(user_id="mei", email="mei@example.com")
    calls = [
        {"type": "identify", "userId": "mei", "anonymousId": "a1", "traits": {"email": "mei@example.com", "plan": "x"}},
        {"type": "track", "userId": "mei", "event": "Viewed"},
        {"type": "alias", "userId": "mei", "previousId": "a1", "anonymousId": "a1"},
        {"type": "track", "anonymousId": "a1", "event": "Order Completed", "properties": {"order_id": "1", "total": 9}},
    ]
    assert take(*calls, source=browser) == ["stored", "browser_person", "browser_person", "browser_money"]
    visitor = holder("anonymous_id", "a1")
    assert visitor != mei
    assert (visitor.email, visitor.traits) == ("", {"plan": "x"})
    assert Event.objects.get().flags == "unproven"
    assert not Order.objects.exists()


def test_handlers_of_upper_apps_are_called_once_for_a_batch() -> None:
    heard: list[list[Pair]] = []

    class Listener(MergeHandler):
        def merge(self, pairs: Any, *, now: Any) -> None:
            heard.append(list(pairs))

    for name in ("mei", "bo"):
        make_profile(user_id=name)
        take(visit(f"a-{name}"))
    with handlers.temporarily("listener", Listener()):
        take(identify("mei", "a-mei"), identify("bo", "a-bo"))
    assert [len(pairs) for pairs in heard] == [2]


@pytest.mark.parametrize("value", ["null", "undefined", "anonymous", "0", "[object Object]", "NaN"])
def test_ids_that_name_nobody_are_refused(value: str) -> None:
    assert take(identify(value)) == ["illegal_id"]


def test_find_or_create_answers_by_the_strongest_name() -> None:
    mei = find_or_create(now=NOW, user_id="mei", email="mei@example.com")
    assert find_or_create(now=NOW, user_id="mei") == mei
    assert find_or_create(now=NOW, email="bo@example.com") != mei
    with pytest.raises(ValueError, match="at least one name"):
        find_or_create(now=NOW)
