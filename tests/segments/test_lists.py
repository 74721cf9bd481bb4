"""Lists from files: who is found is put on or taken off, who is not is refused with the reason, and each change is
a fact that moves people between segments."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from common.models import AuditEntry
from common.params import Invalid
from segments.lists import Refusal, Uploaded, add_people, remove_people, upload
from segments.models import Event, Profile, Segment
from segments.models.groups import ListMember, StaticList
from segments.refresh import refresh_due
from segments.rules.parse import check_rule, parse_rule
from tests.people import NOW, make_profile
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)


def make_list(key: str = "vip") -> StaticList:
    return StaticList.objects.create(key=key, name=key.title())


def on(target: StaticList) -> set[int]:
    return set(ListMember.objects.filter(list=target).values_list("profile_id", flat=True))


def told() -> list[tuple[str, int, str]]:
    rows = Event.objects.filter(name__startswith="@list").order_by("id")
    return [(row.name, row.profile_id, row.properties["list"]) for row in rows]


def take(target: StaticList, path: Path, text: str, action: Any = "add") -> tuple[Uploaded, list[Refusal]]:
    refused: list[Refusal] = []
    file = path / "people.csv"
    file.write_text(text, encoding="utf-8")
    done = upload(target, file, action=action, now=NOW, refuse=refused.append)
    target.refresh_from_db()
    assert target.size == len(on(target))
    return done, refused


def test_a_file_is_taken_row_by_row(tmp_path: Path) -> None:
    target = make_list()
    mei, bo = make_profile(user_id="mei", email="mei@example.com"), make_profile(phone="+8613800138000")
    gone = make_profile(user_id="gone")
    Profile.objects.filter(pk=gone.pk).update(erased_at=NOW)
    text = (
        "note,email,user_id,phone\n"
        "a,,mei,\n"
        "b, MEI@Example.com ,,\n"
        "c,,,+86 138 0013 8000\n"
        "d,nobody@example.com,,\n"
        "e,not an address,,\n"
        "f,,,\n"
        "g,,gone,\n"
        "h,x\n"
    )
    done, refused = take(target, tmp_path, text)
    assert done == Uploaded(rows=8, added=2, removed=0, known=1, refused=5)
    assert on(target) == {mei.pk, bo.pk}
    assert [(one.line, one.code) for one in refused] == [
        (5, "unknown"), (6, "not_a_name"), (7, "no_name"), (8, "unknown"), (9, "wrong_width"),
    ]  # fmt: skip
    assert refused[0].reason == "nobody is known by this email"
    assert told() == [("@list_added", mei.pk, "vip"), ("@list_added", bo.pk, "vip")]
    assert take(target, tmp_path, text)[0] == Uploaded(rows=8, added=0, removed=0, known=3, refused=5)
    assert len(told()) == 2


def test_people_are_taken_off_and_lists_replaced(tmp_path: Path) -> None:
    target, other = make_list(), make_list("other")
    mei, bo, vip = (make_profile(user_id=name) for name in ("mei", "bo", "vip"))
    add_people(target, [mei.pk, bo.pk], now=NOW)
    add_people(other, [mei.pk], now=NOW)
    assert take(target, tmp_path, "user_id\nmei\nvip\n", "remove")[0] == Uploaded(2, 0, 1, 1, 0)
    assert (on(target), on(other)) == ({bo.pk}, {mei.pk})
    assert take(target, tmp_path, "user_id\nmei\nvip\n", "replace")[0] == Uploaded(2, 2, 1, 0, 0)
    assert on(target) == {mei.pk, vip.pk}
    with pytest.raises(Invalid, match="the list stays as it is"):
        take(target, tmp_path, "user_id\nnobody\n", "replace")
    assert on(target) == {mei.pk, vip.pk}
    assert [row[:2] for row in told() if row[2] == "vip"] == [
        ("@list_added", mei.pk), ("@list_added", bo.pk), ("@list_removed", mei.pk), ("@list_added", mei.pk),
        ("@list_added", vip.pk), ("@list_removed", bo.pk),
    ]  # fmt: skip


def test_many_people_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.lists.BATCH", 10)
    everyone = [make_profile(user_id=f"u{n}") for n in range(35)]
    target = make_list()
    text = "public_id\n" + "".join(f"{row.public_id}\n" for row in everyone)
    assert take(target, tmp_path, text)[0] == Uploaded(35, 35, 0, 0, 0)
    assert take(target, tmp_path, "user_id\nu0\n", "replace")[0] == Uploaded(1, 0, 34, 1, 0)


def test_jsonl_and_chinese_files_are_read_as_imports_read_them(tmp_path: Path) -> None:
    target, mei, bo = make_list(), make_profile(user_id="42"), make_profile(user_id="小明")
    refused: list[Refusal] = []
    lines = tmp_path / "people.jsonl"
    lines.write_text('{"user_id": 42}\n{"user_id": null, "email": ""}\n[1]\n', encoding="utf-8")
    done = upload(target, lines, action="add", now=NOW, refuse=refused.append)
    assert (done, on(target)) == (Uploaded(3, 1, 0, 0, 2), {mei.pk})
    assert [(one.line, one.code) for one in refused] == [(2, "no_name"), (3, "not_an_object")]
    chinese = tmp_path / "people.csv"
    chinese.write_bytes("备注,user_id\n老客户,小明\n".encode("gb18030"))
    assert upload(target, chinese, action="add", now=NOW, refuse=refused.append) == Uploaded(1, 1, 0, 0, 0)
    assert on(target) == {mei.pk, bo.pk}


def test_a_file_without_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="needs a column named one of: user_id, email"):
        take(make_list(), tmp_path, "name\nmei\n")


def test_a_list_moves_people_between_segments() -> None:
    mei, bo = make_profile(user_id="mei"), make_profile(user_id="bo")
    target = make_list()
    rule = {"op": "in_list", "params": {"list": "vip"}}
    listed = Segment.objects.create(key="listed", name="l", rule=rule)
    others = Segment.objects.create(key="others", name="o", rule={"not": rule})

    def members() -> tuple[set[int], set[int]]:
        settle_log()
        assert not [report for report in refresh_due(NOW) if report.error]
        found = [set(one.memberships.values_list("profile_id", flat=True)) for one in (listed, others)]
        return found[0], found[1]

    assert members() == (set(), {mei.pk, bo.pk})
    add_people(target, [mei.pk], now=NOW)
    assert members() == ({mei.pk}, {bo.pk})
    remove_people(target, [mei.pk, bo.pk], now=NOW)
    assert members() == (set(), {mei.pk, bo.pk})
    add_people(target, [mei.pk], now=NOW)
    assert members() == ({mei.pk}, {bo.pk})


def test_the_command_makes_the_list_and_writes_the_rejects(tmp_path: Path, capsys: Any) -> None:
    mei = make_profile(user_id="mei")
    file, rejects = tmp_path / "people.csv", tmp_path / "rejects.jsonl"
    file.write_text("user_id\nmei\nnobody\n", encoding="utf-8")
    call_command("upload_list", "spring", str(file), "--name", "Spring", "--rejects", str(rejects))
    target = StaticList.objects.get(key="spring")
    assert (target.name, target.size, on(target)) == ("Spring", 1, {mei.pk})
    said = capsys.readouterr().out
    assert "2 rows read: 1 people added, 0 taken off, 0 as they were, 1 rows rejected" in said
    assert json.loads(rejects.read_text()) == {
        "line": 3, "code": "unknown", "reason": "nobody is known by this user_id", "row": {"user_id": "nobody"},
    }  # fmt: skip
    assert AuditEntry.objects.get(subject="list:spring").action == "list.add"


def test_a_list_that_does_not_exist_is_told() -> None:
    assert [str(problem) for problem in check_rule(parse_rule({"op": "in_list", "params": {"list": "none"}}))] == [
        "params: no list has the key 'none'"
    ]


def test_replacing_a_list_takes_no_more_memory_for_more_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peaks of Python's own memory at 400 and at 4,000 people, of whom every second stays."""
    monkeypatch.setattr("segments.lists.BATCH", 100)
    peaks = []
    for size in (400, 4_000):
        target = make_list(f"list{size}")
        people = Profile.objects.bulk_create(
            Profile(shard=0, bucket=0, first_seen_at=NOW, last_seen_at=NOW) for _ in range(size)
        )
        add_people(target, [row.pk for row in people], now=NOW)
        path = tmp_path / f"{size}.csv"
        path.write_text("public_id\n" + "".join(f"{row.public_id}\n" for row in people[::2]))
        del people
        tracemalloc.start()
        done = upload(target, path, action="replace", now=NOW, refuse=lambda one: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert done == Uploaded(size // 2, 0, size // 2, size // 2, 0)
    assert peaks[1] < peaks[0] * 2
