"""Programs and lists of people: what there is, who is on one, and changes that name everybody they could not find."""

from __future__ import annotations

import pytest

from common.models import AuditEntry
from segments.models import Event
from segments.models.groups import ListMember, StaticList
from tests.api.callers import a_program, codes
from tests.people import make_profile

pytestmark = pytest.mark.django_db


def test_people_are_put_on_and_taken_off_and_the_unknown_are_named() -> None:
    vips = StaticList.objects.create(key="vips", name="VIPs", name_zh="贵宾")
    mei, bo = make_profile(user_id="mei"), make_profile(user_id="bo", email="bo@example.com")
    people = [{"user_id": "mei"}, {"email": "BO@example.com"}, {"user_id": "nobody"}, {"phone": "x"}, {}]
    program = a_program("segments:write")
    answer = program.post("/api/lists/vips/change", {"action": "add", "people": people})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["added"], found["removed"], found["known"]) == (2, 0, 0)
    assert [(one["place"], one["code"]) for one in found["refused"]] == [
        (2, "unknown"), (3, "not_a_name"), (4, "no_name"),
    ]  # fmt: skip
    again = program.post("/api/lists/vips/change", {"action": "add", "people": people[:2]}).json()
    assert (again["added"], again["known"]) == (0, 2)
    assert program.post("/api/lists/vips/change", {"action": "remove", "people": people[:1]}).json()["removed"] == 1
    assert list(ListMember.objects.values_list("profile", flat=True)) == [bo.pk]
    facts = Event.objects.filter(name__startswith="@list_").order_by("pk").values_list("name", "profile")
    assert list(facts) == [("@list_added", mei.pk), ("@list_added", bo.pk), ("@list_removed", mei.pk)]
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "list.add", "list.add", "list.remove",
    ]  # fmt: skip
    vips.refresh_from_db()
    reader = a_program("segments:read")
    (listed,) = reader.get("/api/lists").json()["results"]
    assert (listed["key"], listed["name_zh"], listed["size"]) == ("vips", "贵宾", 1)
    (member,) = reader.get("/api/lists/vips/members").json()["results"]
    assert (member["public_id"], member["user_ids"]) == (str(bo.public_id), ["bo"])


def test_what_is_wrong_is_told_and_nothing_is_changed() -> None:
    StaticList.objects.create(key="vips", name="VIPs")
    make_profile(user_id="mei")
    program = a_program("*")
    wrong = program.post("/api/lists/vips/change", {"action": "burn", "people": []})
    assert {attr for _code, attr in codes(wrong)} == {"action", "people"}
    many = [{"user_id": "mei"}] * 501
    assert program.post("/api/lists/vips/change", {"action": "add", "people": many}).status_code == 400
    assert program.post("/api/lists/none/change", {"action": "add", "people": many[:1]}).status_code == 404
    assert program.get("/api/lists/none/members").status_code == 404
    assert not ListMember.objects.exists()
