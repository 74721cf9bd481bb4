"""The doors to one whole person: the command and the API, who may use them, and what they say when they cannot."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from common.models import ApiKey, AuditEntry
from messaging.models import Delivery
from segments.erase import unfinished
from segments.models import Merge, Profile
from segments.people import NobodyFound, find_person
from tests.api.callers import a_program, codes
from tests.campaigns.stories import make_delivery
from tests.people import make_fact, make_profile

pytestmark = pytest.mark.django_db(transaction=True)


def person(*args: str) -> str:
    out = io.StringIO()
    call_command("person", *args, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_a_person_is_found_by_any_name() -> None:
    mei = make_profile(user_id="u1", email="mei@example.com", anonymous_id="x")
    for said in (str(mei.public_id), "u1", "user_id:u1", "Mei@Example.com", "email:mei@example.com", "anonymous_id:x"):
        assert find_person(said) == mei, said
    with pytest.raises(NobodyFound, match="nobody is known as 'u2'"):
        find_person("u2")
    twin = make_profile(user_id="u3")
    Profile.objects.filter(pk=twin.pk).update(email="mei@example.com")
    with pytest.raises(NobodyFound, match="several people") as told:
        find_person("mei@example.com")
    assert str(mei.public_id) in str(told.value)
    assert str(twin.public_id) in str(told.value)
    with pytest.raises(NobodyFound):
        find_person("")


def test_the_command_exports_as_json_and_zip(tmp_path: Path) -> None:
    mei = make_profile(user_id="u1", email="mei@example.com")
    make_fact(mei, "Viewed")
    said = json.loads(person("export", "u1"))
    assert [row["name"] for row in said["segments.event"]] == ["Viewed"]
    person("export", "u1", "--out", str(tmp_path / "mei.zip"))
    with zipfile.ZipFile(tmp_path / "mei.zip") as archive:
        assert "segments.identity.jsonl" in archive.namelist()
    person("export", "u1", "--out", str(tmp_path / "mei.json"))
    assert json.loads((tmp_path / "mei.json").read_text())["segments.event"] == said["segments.event"]
    assert AuditEntry.objects.filter(action="person.export", subject=f"person:{mei.public_id}").count() == 3


def test_the_command_merges_undoes_and_erases() -> None:
    one, other = make_profile(anonymous_id="a"), make_profile(user_id="u1")
    make_fact(one, "Viewed")
    assert "is now part of" in person("merge", "anonymous_id:a", "u1", "--reason", "same")
    assert Merge.objects.get().reason == "same"
    assert "stands alone" in person("undo", str(one.public_id), "--reason", "not the same")
    one.refresh_from_db()
    assert one.merged_into is None
    with pytest.raises(CommandError, match="nothing was erased"):
        person("erase", "u1")
    assert "erased: " in person("erase", "u1", "--yes")
    other.refresh_from_db()
    assert other.erased_at is not None
    with pytest.raises(CommandError, match="nobody is known"):
        person("erase", "u1", "--yes")


def test_the_command_says_why_it_cannot() -> None:
    make_profile(user_id="a")
    make_profile(user_id="b")
    with pytest.raises(CommandError, match="both have a user id"):
        person("merge", "a", "b", "--reason", "x")
    with pytest.raises(CommandError, match="was not merged"):
        person("undo", "a", "--reason", "x")
    with pytest.raises(CommandError, match="different"):
        person("merge", "a", "a", "--reason", "x")
    assert not Merge.objects.exists()
    waiting = make_delivery(find_person("a"), state="attempting", lease_token="0" * 32)
    with pytest.raises(CommandError, match="on their way"):
        person("erase", "a", "--yes", "--wait", "0")
    assert Delivery.objects.filter(pk=waiting.pk).exists()


def test_what_had_to_wait_or_came_late_is_erased_by_one_call() -> None:
    mei, bo = make_profile(user_id="a"), make_profile(user_id="b")
    on_wire = make_delivery(mei, state="attempting", lease_token="0" * 32)
    with pytest.raises(CommandError, match="on their way"):
        person("erase", "a", "--yes", "--wait", "0")
    assert unfinished() == [mei]
    assert person("erase", "--unfinished") == "1 people looked at, 1 rows still wait\n"
    Delivery.objects.filter(pk=on_wire.pk).update(state="accepted")
    assert person("erase", "--unfinished") == "1 people looked at, 0 rows still wait\n"
    assert unfinished() == []
    make_fact(mei, "Viewed")
    make_fact(bo, "Viewed")
    assert unfinished() == [mei]
    person("erase", "--unfinished")
    assert unfinished() == []
    with pytest.raises(CommandError):
        person("erase")


def test_the_api_exports_a_person_and_says_so_in_the_audit_log() -> None:
    mei = make_profile(user_id="u1", email="mei@example.com")
    program = a_program("profiles:export")
    answer = program.get(f"/api/people/{mei.public_id}/export")
    said = json.loads(b"".join(answer.streaming_content))
    assert said["segments.profile"][0]["email"] == "mei@example.com"
    assert answer["Cache-Control"] == "no-store"
    entry = AuditEntry.objects.get(action="person.export")
    assert entry.actor_name == str(ApiKey.objects.get())


def test_the_api_merges_undoes_and_erases_each_under_its_scope() -> None:
    one, other = make_profile(anonymous_id="a"), make_profile(user_id="u1", email="mei@example.com")
    base = f"/api/people/{one.public_id}"
    program = a_program("profiles:merge")
    said = {"into": str(other.public_id), "reason": "same"}
    for _ in range(2):
        answer = program.post(f"{base}/merge", said)
        assert (answer.status_code, answer.json()["merged_into"]) == (200, str(other.public_id))
    assert Merge.objects.count() == 1
    assert program.post(f"{base}/erase", {}).status_code == 403
    assert program.post(f"{base}/unmerge", {"reason": "no"}).json()["merged_into"] is None
    again = program.post(f"{base}/unmerge", {"reason": "no"})
    assert (again.status_code, codes(again)) == (409, [("conflict", None)])
    eraser = a_program("profiles:erase")
    for _ in range(2):
        answer = eraser.post(f"/api/people/{other.public_id}/erase", {})
        assert (answer.status_code, answer.json()["waiting"]) == (200, 0)
    assert AuditEntry.objects.filter(action="person.erase").count() == 1
    other.refresh_from_db()
    assert other.email == ""


def test_the_api_never_joins_two_known_people_by_accident() -> None:
    one, other = make_profile(user_id="a"), make_profile(user_id="b")
    program = a_program("profiles:merge")
    said: dict[str, Any] = {"into": str(other.public_id), "reason": "same"}
    answer = program.post(f"/api/people/{one.public_id}/merge", said)
    assert (answer.status_code, codes(answer)) == (409, [("two_known_people", None)])
    assert program.post(f"/api/people/{one.public_id}/merge", {}).status_code == 400
    assert program.post(f"/api/people/{one.public_id}/merge", {**said, "force": True}).status_code == 200
