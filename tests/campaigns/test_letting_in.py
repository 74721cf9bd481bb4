"""A file of people let into a journey: each row answered, the same file twice lets nobody in again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from campaigns.letting_in import LetIn, let_in
from campaigns.models import Enrolment, Journey
from campaigns.publish import pause
from common.models import AuditEntry
from common.params import Invalid
from segments.lists import Refusal
from tests.campaigns.flows import DONE, flow, live, node
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db


def by_hand() -> Journey:
    return live({**flow({"w": node("wait", for_="1d"), "done": DONE}), "trigger": {"type": "manual", "params": {}}})


def file(folder: Path, text: str) -> Path:
    path = folder / "people.csv"
    path.write_text(text)
    return path


def test_rows_enter_with_their_variables_and_whoever_does_not_is_told_why(tmp_path: Path) -> None:
    journey, mei, bo = by_hand(), make_profile(user_id="mei"), make_profile(email="bo@example.com")
    first = file(tmp_path, "user_id,email,gift\nmei,,tea\n,bo@example.com,\nnobody,,\n,,cup\n")
    refused: list[Refusal] = []
    assert let_in(journey, first, now=NOW, refuse=refused.append) == LetIn(rows=4, entered=2, refused=2)
    assert [one.code for one in refused] == ["unknown", "no_name"]
    walks = Enrolment.objects.in_bulk(field_name="pk").values()
    assert {walk.profile_id: walk.context["event"]["properties"] for walk in walks} == {
        mei.pk: {"gift": "tea"},
        bo.pk: {},
    }
    assert let_in(journey, first, now=NOW, refuse=lambda _: None) == LetIn(rows=4, known=2, refused=2)
    refused.clear()
    again = file(tmp_path, "user_id\nmei\n")
    assert let_in(journey, again, now=NOW, refuse=refused.append) == LetIn(rows=1, refused=1)
    assert [(one.line, one.code, one.reason) for one in refused] == [
        (2, "under_way", "not let in: is in the journey already")
    ]


def test_a_file_without_a_name_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="needs a column"):
        let_in(by_hand(), file(tmp_path, "gift\ntea\n"), now=NOW, refuse=lambda _: None)
    assert not Enrolment.objects.exists()


def test_the_command_says_who_entered_and_keeps_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journey = by_hand()
    make_profile(user_id="mei")
    path, rejects = file(tmp_path, "user_id\nmei\nnobody\n"), tmp_path / "rejects.jsonl"
    call_command("let_in", "welcome", str(path), "--reason", "the fair in May", "--rejects", str(rejects))
    assert "2 rows read: 1 people entered, 0 had before, 1 refused" in capsys.readouterr().out
    assert json.loads(rejects.read_text())["code"] == "unknown"
    said = AuditEntry.objects.get(action="journey.let_in")
    assert (said.subject, said.reason) == ("journey:welcome", "the fair in May")
    pause(journey, now=NOW)
    with pytest.raises(CommandError, match="not live"):
        call_command("let_in", "welcome", str(path), "--reason", "again")
