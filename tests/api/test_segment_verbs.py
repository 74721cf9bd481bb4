"""Programs and segments: a rule looked at, saved, rebuilt, stopped and compared; what is wrong is told with its place."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from common.models import AuditEntry
from segments.models import Membership, Segment, SegmentRun
from segments.patience import TooSlow
from tests.api.callers import a_program, codes
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
CHINESE = {"op": "trait", "params": {"trait": "country", "op": "equals", "value": "CN"}}
WRONG = {"all": [{"op": "nothing"}, {"op": "points", "params": {"points": "many"}}, {"maybe": 1}]}
PLACES = {"rule.all.0.op", "rule.all.1.params.points", "rule.all.2"}


def test_a_rule_is_looked_at_and_nothing_is_saved() -> None:
    mei = make_profile(user_id="mei", country="CN")
    make_profile(user_id="bo", country="US")
    answer = a_program("segments:read").post("/api/rules/preview", {"rule": {"all": [CHINESE]}})
    assert answer.status_code == 200
    assert answer.json() == {
        "sentence": "country is CN",
        "count": 1,
        "samples": [{"public_id": str(mei.public_id), "why": ["country is CN"]}],
    }
    assert not Segment.objects.exists()


def test_a_wrong_rule_is_told_with_every_place() -> None:
    program = a_program("*")
    bodies = {"/api/rules/preview": {"rule": WRONG}, "/api/segments/x/save": {"name": "X", "rule": WRONG}}
    for path, body in bodies.items():
        answer = program.post(path, body)
        assert answer.status_code == 400
        assert {attr for _code, attr in codes(answer)} == PLACES
    assert not Segment.objects.exists()


def test_no_more_than_a_hundred_problems_are_told() -> None:
    program = a_program("segments:read")
    many = {"rule": {"op": "points", "params": {f"typo{number}": 1 for number in range(5000)}}}
    answer = program.post("/api/rules/preview", many)
    assert answer.status_code == 400
    assert len(codes(answer)) == 100
    answer = program.post("/api/rules/preview", {"rule": {"all": [{"all": []}] * 30_000}})
    assert codes(answer) == [("invalid", "rule")]


def test_a_circle_is_found_by_the_key() -> None:
    Segment.objects.create(key="one", name="One", rule={"op": "in_segment", "params": {"segment": "two"}})
    Segment.objects.create(key="two", name="Two", rule={"all": []})
    body = {"key": "two", "rule": {"op": "in_segment", "params": {"segment": "one"}}}
    answer = a_program("segments:read").post("/api/rules/preview", body)
    assert answer.status_code == 400
    assert "circle" in answer.json()["errors"][0]["detail"]


def test_counting_that_takes_too_long_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise TooSlow

    monkeypatch.setattr("segments.live.people", never)
    monkeypatch.setattr("segments.api.segment_verbs.overlaps", never)
    monkeypatch.setattr("segments.api.segments.people", never)
    Segment.objects.create(key="cn", name="China", rule=CHINESE)
    program = a_program("segments:read")
    assert program.post("/api/rules/preview", {"rule": CHINESE}).json()["count"] is None
    assert program.get("/api/segments/cn/overlap").json() == {"results": None}
    assert program.get("/api/segments/cn/count").json() == {"count": 0, "as_of": None, "live": False}
    live = program.get("/api/segments/cn/count", live=True).json()
    assert (live["count"], live["live"]) == (None, True)


def test_a_segment_is_made_changed_and_built_anew_only_for_another_rule() -> None:
    program = a_program("segments:write")
    body: dict[str, Any] = {"name": "China", "name_zh": "中国", "rule": CHINESE}
    made = program.post("/api/segments/cn/save", body)
    assert made.status_code == 200
    assert (made.json()["rule"], made.json()["building"], made.json()["sentence"]) == (CHINESE, True, "country is CN")
    Segment.objects.update(built_number=1)
    assert program.post("/api/segments/cn/save", {**body, "name": "All of China"}).json()["building"] is False
    changed = program.post("/api/segments/cn/save", {**body, "rule": {"all": []}}).json()
    row = Segment.objects.get()
    assert (changed["building"], row.rule_number, row.fire_on_build, row.name) == (True, 2, False, "China")
    assert program.post("/api/segments/cn/save", {**body, "fire": True}).status_code == 403
    row.refresh_from_db()
    assert (row.rule_number, row.fire_on_build) == (2, False)
    sender = a_program("segments:write", "journeys:enrol")
    assert sender.post("/api/segments/cn/save", {**body, "fire": True}).status_code == 200
    row.refresh_from_db()
    assert (row.rule_number, row.fire_on_build) == (3, True)
    assert AuditEntry.objects.filter(action="segment.rule", subject="segment:cn").count() == 4
    assert program.post(f"/api/segments/{'k' * 81}/save", body).status_code == 400


def test_what_somebody_else_saved_is_not_overwritten_unseen() -> None:
    program = a_program("segments:read", "segments:write")
    path, body = "/api/segments/cn/save", {"name": "China", "rule": CHINESE}
    assert codes(program.post(path, body, If_Match="*")) == [("changed_meanwhile", None)]
    assert not Segment.objects.exists()
    first = program.post(path, body, If_None_Match="*")
    again = program.post(path, body, If_None_Match="*")
    assert (first.status_code, again.status_code) == (200, 412)
    assert again.json()["errors"][0]["detail"] == "There is a segment with this key already."
    seen = program.get("/api/segments/cn")["ETag"]
    assert seen == first["ETag"]
    second = program.post(path, {**body, "description": "Mainland"}, If_Match=seen)
    assert (second.status_code, second["ETag"] != seen) == (200, True)
    late = program.post(path, {**body, "rule": {"all": []}}, If_Match=seen, Accept_Language="zh-hans")
    assert (late.status_code, codes(late)) == (412, [("changed_meanwhile", None)])
    assert late.json()["errors"][0]["detail"] == "您读取之后，有人修改了这个人群。您的修改没有保存，请重新读取。"
    row = Segment.objects.get()
    assert (row.description, row.rule, row.rule_number) == ("Mainland", CHINESE, 1)
    Segment.objects.update(size=5, built_number=1, state="paused")
    weak = f'"other", W/{second["ETag"]}'
    assert program.post(path, {**body, "rule": {"all": []}}, If_Match=weak).status_code == 200
    assert program.post(path, body, If_Match="*").status_code == 200
    assert program.post(path, {**body, "name": "Unasked"}).json()["name"] == "Unasked"


def test_rebuilding_stopping_and_pausing() -> None:
    row = Segment.objects.create(key="cn", name="China", rule=CHINESE, built_number=1)
    program = a_program("segments:write")
    assert codes(program.post("/api/segments/cn/cancel", {})) == [("not_building", None)]
    assert codes(program.post("/api/segments/cn/rebuild", {"fire": True})) == [("permission_denied", None)]
    row.refresh_from_db()
    assert (row.built_number, row.fire_on_build) == (1, False)
    sender = a_program("segments:write", "journeys:enrol")
    assert sender.post("/api/segments/cn/rebuild", {"fire": True}).json()["building"] is True
    run = SegmentRun.objects.create(segment=row, mode="build", as_of=NOW, started_at=NOW, progress=30, why="rule")
    (shown,) = a_program("segments:read").get("/api/segments/cn/runs").json()["results"]
    assert (shown["state"], shown["progress"], shown["finished_at"]) == ("running", 30, None)
    assert (shown["why"], shown["estimated"], shown["threshold"]) == ("rule", None, None)
    assert shown["said"] == "the members are built from nothing"
    assert program.post("/api/segments/cn/cancel", {}).json()["state"] == "paused"
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert program.post("/api/segments/cn/state", {"state": "active"}).json()["state"] == "active"
    again = program.post("/api/segments/cn/state", {"state": "active"})
    assert (again.status_code, codes(again)) == (409, [("forbidden_move", None)])
    assert codes(program.post("/api/segments/cn/state", {"state": "gone"})) == [("invalid_choice", "state")]
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {
        "segment.rebuild",
        "segment.cancel",
        "segment.active",
    }


def test_overlaps_take_as_many_statements_however_many_segments() -> None:
    one = Segment.objects.create(key="one", name="One", rule={"all": []}, size=4)
    people = [make_profile() for _ in range(4)]
    Membership.objects.bulk_create([Membership(segment=one, profile=p, entered_at=NOW) for p in people])
    program, counts = a_program("segments:read"), []
    program.get("/api/segments/one")
    for many in (1, 5):
        for n in range(many):
            other = Segment.objects.create(key=f"other-{many}-{n}", name="Other", rule={"all": []}, size=2)
            Membership.objects.bulk_create([Membership(segment=other, profile=p, entered_at=NOW) for p in people[:2]])
        with CaptureQueriesContext(connection) as asked:
            found = program.get("/api/segments/one/overlap").json()["results"]
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert len(found) == 6
    assert found[0] == {"key": "other-1-0", "both": 2, "of_this": 0.5, "of_other": 1.0, "of_either": 0.5}


def test_writing_takes_its_own_scope() -> None:
    row = Segment.objects.create(key="cn", name="China", rule=CHINESE, built_number=1)
    reader = a_program("segments:read")
    for verb in ("save", "rebuild", "cancel", "state"):
        assert reader.post(f"/api/segments/cn/{verb}", {}).status_code == 403
    row.refresh_from_db()
    assert (row.built_number, row.state) == (1, "active")
