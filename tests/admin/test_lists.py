"""A list in the admin: a file is uploaded, what it refuses is kept, and who may not write changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from common.models import AuditEntry
from common.text import has_poison
from segments.models import Event, Profile, RejectedRow
from segments.models.groups import ListMember, StaticList
from tests.people import make_profile


def send(client: Any, target: StaticList, text: str, action: str = "add", name: str = "people.csv") -> list[str]:
    file = SimpleUploadedFile(name, text.encode())
    url = reverse("admin:segments_staticlist_upload", args=[target.pk])
    answer = client.post(url, {"file": file, "action": action}, follow=True)
    assert answer.status_code == 200
    return [str(message) for message in answer.context["messages"]]


def test_a_file_is_uploaded_and_its_refused_rows_are_kept(shop: Any, login: Any) -> None:
    target, mei = StaticList.objects.create(key="spring", name="Spring"), make_profile(user_id="listed-mei")
    client = login("author")
    said = send(client, target, "user_id\nlisted-mei\nlisted-nobody\n")
    assert said == [
        "1 rows were refused; each is kept with its reason under Rejected rows.",
        "2 rows read: 1 people put on, 0 taken off, 0 as they were.",
    ]
    assert set(target.members.values_list("profile_id", flat=True)) == {mei.pk}
    row = RejectedRow.objects.get(path="list spring")
    assert (row.line, row.code, row.reason) == (3, "unknown", "nobody is known by this user_id")
    assert row.payload == '{"user_id": "listed-nobody"}'
    entry = AuditEntry.objects.get(action="list.add", subject="list:spring")
    assert (entry.actor_name, entry.detail["file"], entry.detail["added"]) == ("author", "people.csv", 1)
    assert send(client, target, "user_id\nlisted-mei\n", "remove") == [
        "1 rows read: 0 people put on, 1 taken off, 0 as they were."
    ]
    assert not target.members.exists()


def test_a_file_that_cannot_be_used_says_why_and_changes_nothing(shop: Any, login: Any) -> None:
    target, client = StaticList.objects.get(key="regulars"), login("author")
    before, facts = ListMember.objects.count(), Event.objects.count()
    assert before
    for text, action, name, problem in [
        ("name\nmei\n", "add", "people.csv", "needs a column named one of"),
        ("user_id\nmei\n", "add", "people.xlsx", "'.xlsx' is none of"),
        ("user_id\nnobody-at-all\n", "replace", "people.csv", "the list stays as it is"),
        ("user_id\nmei\n", "burn", "people.csv", "Choose a file and what to do with it."),
    ]:
        (said,) = send(client, target, text, action, name)
        assert problem in said
    assert (ListMember.objects.count(), Event.objects.count()) == (before, facts)


def test_what_no_database_stores_is_refused_with_the_rest(shop: Any, login: Any) -> None:
    target, bad = StaticList.objects.get(key="regulars"), ("nul \\u0000", "half \\ud800")
    text = "".join(f'{{"user_id": "{one}"}}\n{{"email": "{one}"}}\n' for one in bad)
    said = send(login("author"), target, text, name="people.jsonl")
    assert said[0] == "4 rows were refused; each is kept with its reason under Rejected rows."
    rows = RejectedRow.objects.filter(path="list regulars").order_by("line")
    assert [row.code for row in rows] == ["nul", "nul", "lone_surrogate", "lone_surrogate"]
    assert not any(has_poison(row.reason + row.payload) for row in rows)


@pytest.mark.parametrize(
    ("text", "action", "name", "problem"),
    [
        ("name\nmei\n", "add", "people.csv", "文件须有一列名为以下之一"),
        ("user_id\nmei\n", "add", "people.xlsx", "“.xlsx”不属于"),
        ("user_id\nnobody-at-all\n", "replace", "people.csv", "名单保持不变"),
        ("a,a\n1,2\n", "add", "people.csv", "各自不同的名称"),
        ("PAR0", "add", "people.parquet", "这不是 Parquet"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_chinese_too(
    shop: Any, login: Any, text: str, action: str, name: str, problem: str
) -> None:
    (said,) = send(login("author", "zh-hans"), StaticList.objects.get(key="regulars"), text, action, name)
    assert problem in said


def test_who_may_only_look_uploads_nothing(shop: Any, login: Any) -> None:
    target = StaticList.objects.get(key="regulars")
    public = Profile.objects.exclude(list_members__list=target).values_list("public_id", flat=True)[0]
    file = SimpleUploadedFile("people.csv", f"public_id\n{public}\n".encode())
    url = reverse("admin:segments_staticlist_upload", args=[target.pk])
    assert login("viewer").post(url, {"file": file, "action": "add"}).status_code == 403
    assert target.members.count() == 5
    page = login("viewer").get(reverse("admin:segments_staticlist_change", args=[target.pk])).content.decode()
    assert 'type="file"' not in page
    assert (
        'type="file"'
        in login("author").get(reverse("admin:segments_staticlist_change", args=[target.pk])).content.decode()
    )
