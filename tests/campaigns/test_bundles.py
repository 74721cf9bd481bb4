"""Journeys as text: the same bytes each time, whole elsewhere, every mistake with its path, and exact exit codes."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from campaigns import bundles
from campaigns.asks import Unanswered, answered
from campaigns.install import install, install_recipe, preview, read_recipe, try_out
from campaigns.models import Campaign, Enrolment, Goal, Journey
from common.params import Invalid
from messaging.models import Template, TemplateVersion, Topic
from segments.models import Benefit, CouponPool, Segment
from tests.people import NOW

pytestmark = pytest.mark.django_db(transaction=True)
MADE = (Campaign, Goal, Journey, Template, Topic, Segment, Benefit, CouponPool)


def run(*words: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    out = StringIO()
    try:
        call_command("journey", *words, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def counts() -> list[int]:
    return [model.objects.count() for model in MADE]


def small(**parts: Any) -> dict[str, Any]:
    """A text that needs nothing else."""
    graph = {
        "trigger": {"type": "segment_entered", "params": {"segment": "new"}},
        "start": "rest",
        "nodes": {"rest": {"type": "wait", "params": {"for": "3d"}, "next": {"next": "done"}}, "done": {"type": "exit", "params": {}}},
    }  # fmt: skip
    return {
        "format": bundles.FORMAT,
        "campaign": {"key": "spring", "name": "Spring", "utm_campaign": "spring"},
        "segments": [{"key": "new", "name": "New", "rule": {"all": []}}],
        "journey": {"key": "hello", "name": "Hello", "graph": graph},
        **parts,
    }


def test_what_is_exported_is_whole_stable_and_installs_elsewhere() -> None:
    row = install_recipe("churn-winback", now=NOW, publishing=False).journey
    assert row is not None
    text = bundles.dump(bundles.export(row))
    assert text == bundles.dump(bundles.export(row)) == bundles.dump(json.loads(text))
    data = json.loads(text)
    assert [len(data[part]) for part in ("segments", "templates", "pools", "benefits", "topics")] == [1, 2, 1, 1, 1]
    before = counts()
    Journey.objects.all().delete()
    for model in (Goal, Campaign, Template, CouponPool, Benefit, Segment, Topic):
        model.objects.all().delete()
    made = install(data, now=NOW)
    assert made.journey is not None
    assert bundles.dump(bundles.export(made.journey)) == text
    assert counts()[:2] == before[:2]
    assert install(data, now=NOW).made == []


def test_versions_are_exported_by_number_and_words_may_be_left_out() -> None:
    row = install_recipe("vip-perks", now=NOW).journey
    assert row is not None
    data = bundles.export(row, number=1, words=False)
    assert data["templates"] == ["vip-perk"]
    assert "topics" not in data
    assert data["journey"]["graph"]["nodes"]["tell"]["params"]["version"] == 1
    with pytest.raises(KeyError):
        bundles.export(row, number=7)


@pytest.mark.parametrize(
    ("parts", "paths"),
    [
        ({"format": "other/9", "colour": 1}, ["colour", "format"]),
        ({"campaign": {"name": "x"}, "journey": []}, ["campaign", "journey"]),
        ({"segments": [{"name": "no key"}], "pools": 3}, ["pools", "segments.0"]),
        ({"segments": [{"key": "new", "name": "N", "rule": {"all": [{"op": "nothing"}]}}]}, ["segments.0.rule.all.0.op"]),
        ({"journey": {"key": "j", "graph": {}}}, ["journey.graph.trigger", "journey.graph.nodes", "journey.graph.start"]),
        ({"segments": []}, ["segments.new"]),
        ({"benefits": [{"key": "b", "name": "B", "kind": "magic", "size": 1}]}, ["benefits.0.size", "benefits.0.kind"]),
        ({"templates": ["nowhere"]}, ["templates.nowhere"]),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_its_path_and_nothing_is_made(parts: dict[str, Any], paths: list[str]) -> None:
    before = counts()
    with pytest.raises(Invalid) as caught:
        install(small(**parts), now=NOW)
    assert sorted(problem.path for problem in caught.value.problems) == sorted(paths)
    assert [one.place for one in try_out(small(**parts), now=NOW)[1]] == [one.path for one in caught.value.problems]
    assert counts() == before


def test_trying_out_stores_nothing() -> None:
    before = [*counts(), TemplateVersion.objects.count()]
    items, findings = try_out(read_recipe("vip-perks"), now=NOW)
    assert [one.key for one in items if one.kind == "journey"] == ["vip-perks"]
    assert not any(one.there for one in items)
    assert [one.severity.value for one in findings if one.severity.value == "error"] == []
    assert [*counts(), TemplateVersion.objects.count()] == before


def test_a_preview_says_what_is_there() -> None:
    install(small(), now=NOW)
    there = {
        (one.kind, one.key): one.there for one in preview(small(segments=[{"key": "more", "name": "M", "rule": {}}]))
    }
    assert there == {("segment", "more"): False, ("campaign", "spring"): True, ("journey", "hello"): True}


def test_what_is_asked_must_be_answered() -> None:
    asks = [
        {"key": "days", "kind": "duration", "title": "How long?", "title_zh": "多久？"},
        {"key": "points", "kind": "number", "title": "Points", "default": 5},
        {"key": "events", "kind": "list", "title": "Events", "default": ["A", "B"]},
    ]
    text = {"asks": asks, "wait": {"$ask": "days"}, "more": [{"n": {"$ask": "points"}}, {"$ask": "events"}]}
    assert answered(text, {"days": "3d"}) == {"wait": "3d", "more": [{"n": 5}, ["A", "B"]]}
    assert answered(text, {"days": "3d", "points": "7", "events": "X， Y"})["more"] == [{"n": 7}, ["X", "Y"]]
    with pytest.raises(Unanswered) as caught:
        answered(text, {"points": "many", "size": 1})
    assert [one.path for one in caught.value.problems] == ["asks.days", "asks.points", "asks.size"]
    assert [one.key for one in caught.value.asks] == ["days", "points"]


def test_a_journey_that_is_there_keeps_its_draft_unless_it_is_to_be_replaced() -> None:
    install(small(), now=NOW)
    other = small()
    other["journey"]["graph"]["nodes"]["rest"]["params"]["for"] = "5d"
    assert not install(other, now=NOW).changed
    assert install(other, now=NOW, update=True).changed
    assert Journey.objects.get().draft["nodes"]["rest"]["params"]["for"] == "5d"
    assert not install(other, now=NOW, update=True).changed


def test_the_command_and_its_exit_codes(tmp_path: Path) -> None:
    file, other = tmp_path / "hello.json", tmp_path / "other.json"
    file.write_text(bundles.dump(small()))
    changed = small()
    changed["journey"]["graph"]["nodes"]["rest"]["params"]["for"] = "5d"
    other.write_text(bundles.dump(changed))
    assert run("check", str(file)) == (0, "")
    assert run("install", str(file), "--dry-run")[0] == 0
    assert not Journey.objects.exists()
    assert run("install", str(file), "--publish")[0] == 0
    assert Journey.objects.get().state == "live"
    assert run("install", str(file))[1].count("made") == 0
    assert run("check", "hello") == (0, "")
    assert run("diff", "hello@1", str(file)) == (0, "")
    code, said = run("diff", "hello@1", str(other))
    assert (code, said) == (1, "Step “rest” changes: Wait for 5d (for: 3d → 5d)\n1 differences")
    assert run("install", str(other), "--update")[0] == 0
    assert run("diff", "hello@1", "hello")[0] == 1
    assert run("export", "hello", "--out", str(tmp_path / "out.json")) == (0, "")
    assert json.loads((tmp_path / "out.json").read_text())["journey"]["graph"] == changed["journey"]["graph"]
    assert run("export", "hello@1")[0] == 0
    assert Enrolment.objects.count() == 0


def test_the_commands_errors(tmp_path: Path) -> None:
    bad, asking, broken = tmp_path / "bad.json", tmp_path / "asking.json", tmp_path / "broken.json"
    bad.write_text(bundles.dump(small(segments=[])))
    asking.write_text(bundles.dump(small(asks=[{"key": "days", "kind": "duration", "title": "How long?"}])))
    broken.write_text("{")
    code, said = run("check", str(bad))
    assert code == 1
    assert "error: segments.new: is needed, and neither brought nor there [flow]" in said
    assert run("install", str(bad)) == (1, "segments.new: is needed, and neither brought nor there")
    assert run("install", str(asking)) == (3, "asks.days: is needed: How long?")
    assert run("install", str(asking), "--set", "days=2d")[0] == 0
    for words in (["check", str(broken)], ["check", "nobody"], ["diff", "hello@x", "hello"], ["diff", "hello@7", "hello"],
                  ["export", "nobody"], ["install", str(tmp_path / "none.json")], ["install", str(asking), "--set", "x"]):  # fmt: skip
        assert run(*words)[0] == 2, words


def test_strict_makes_errors_of_warnings(tmp_path: Path) -> None:
    file = tmp_path / "vip.json"
    data = read_recipe("vip-perks")
    data["campaign"]["holdout"] = None
    file.write_text(bundles.dump(data))
    assert run("check", str(file))[0] == 0
    code, said = run("check", str(file), "--strict")
    assert code == 1
    assert "warning: holdout: nobody is held out" in said
