"""Lists follow a merge, and return with its undoing."""

from __future__ import annotations

import pytest

from segments.lists import add_people
from segments.merge import merge
from segments.models import Identity
from segments.models.groups import ListMember, StaticList
from segments.unmerge import undo
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)


def make_list(key: str) -> StaticList:
    return StaticList.objects.create(key=key, name=key.title())


def on(target: StaticList) -> set[int]:
    return set(ListMember.objects.filter(list=target).values_list("profile_id", flat=True))


def test_lists_follow_a_merge_and_come_back_with_its_undoing() -> None:
    first, second = make_list("first"), make_list("second")
    visitor, mei = make_profile(anonymous_id="a"), make_profile(user_id="mei")
    add_people(first, [visitor.pk], now=NOW)
    add_people(second, [visitor.pk, mei.pk], now=NOW)
    merge(visitor, mei, now=NOW, actor="test", reason="the same")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (on(first), on(second), first.size, second.size) == ({mei.pk}, {mei.pk}, 1, 1)
    visitor.refresh_from_db()
    undo(visitor, now=NOW, actor="test", reason="not the same")
    second.refresh_from_db()
    assert (on(first), on(second), second.size) == ({visitor.pk}, {visitor.pk, mei.pk}, 2)
    assert Identity.objects.get(value="a").profile_id == visitor.pk
