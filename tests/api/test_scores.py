"""Programs and scores: boards, people behind a number, a person's health and timeline, and the rules of scoring."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from common import clock
from common.models import AuditEntry
from segments.health_rules import choose_rules, settings_in_force
from segments.health_scores import judge_all
from segments.models import Health, RfmEdges, Scores, StageChange
from segments.patience import TooSlow
from segments.rfm_settings import edges_settings
from segments.scores import score_all
from tests.api.callers import a_program, codes
from tests.people import make_fact, make_order, make_profile
from tests.segments.health.test_metrics import UTC

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def shoppers(many: int = 6) -> list[Any]:
    """People with one to `many` orders, scored now."""
    now, people = clock.now(), []
    for n in range(many):
        person = make_profile(user_id=f"u{n}")
        for k in range(n + 1):
            make_order(person, f"o{n}-{k}", total=1000 * (n + 1), at=now - (20 * k + 5 * (many - n)) * DAY)
        people.append(person)
    score_all(now)
    return people


def test_rfm_adds_up_and_its_people_are_found() -> None:
    people = shoppers()
    found = a_program("segments:read").get("/api/scores/rfm?days=7").json()
    assert found["settings"] == {
        "window_days": 365, "money": "sum", "counted": "orders", "mode": "quantile", "recency": [], "frequency": [], "monetary": [],
        "octants": "mean", "octants_at": [],
    }  # fmt: skip
    spent = sum(1000 * (n + 1) * (n + 1) for n in range(6))
    for part in ("cells", "octants", "grid"):
        assert sum(one["people"] for one in found[part]) == 6
        assert sum(one["spent"] for one in found[part]) == spent
    assert (len(found["cells"]), len(found["octants"]), len(found["grid"])) == (11, 8, 25)
    assert sum(one["moves"] for one in found["flow"]) == 6  # everybody came from nowhere
    best = Scores.objects.get(profile=people[-1])
    program = a_program("profiles:read")
    answer = program.get(f"/api/scores/people?cell={best.cell}&r={best.r}").json()
    assert str(people[-1].public_id) in {one["public_id"] for one in answer["results"]}
    assert {one["scores"]["cell"] for one in answer["results"]} == {best.cell}
    assert answer["results"][0]["user_ids"] == ["u5"]


def test_people_of_a_number_come_by_pages_in_as_many_statements() -> None:
    people, program, counts = shoppers(8), a_program("profiles:read"), []
    Health.objects.create(profile=people[0], band="watch", score=50, computed_at=clock.now())
    program.get("/api/scores/people")  # a key's first use is noted
    for limit in (2, 8):
        with CaptureQueriesContext(connection) as asked:
            found = program.get(f"/api/scores/people?limit={limit}").json()
        counts.append(len(asked))
        assert len(found["results"]) == limit
    assert counts[0] == counts[1]
    (watched,) = program.get("/api/scores/people?band=watch").json()["results"]
    assert (watched["public_id"], watched["band"], watched["health"]) == (str(people[0].public_id), "watch", 50)
    wrong = program.get("/api/scores/people?cell=none&r=6")
    assert {attr for _code, attr in codes(wrong)} == {"cell", "r"}


def test_stages_and_their_moves() -> None:
    (mei, *_) = shoppers(2)
    StageChange.objects.all().delete()
    StageChange.objects.create(profile=mei, at=clock.now() - DAY, before="newcomer", after="lapsed", reason="")
    found = a_program("segments:read").get("/api/scores/stages?days=2").json()
    assert found["preset"] == "commerce"
    assert sum(one["people"] for one in found["stages"]) == 2
    assert found["flow"] == [{"before": "newcomer", "after": "lapsed", "moves": 1}]
    assert codes(a_program("*").get("/api/scores/stages?days=0")) == [("min_value", "days")]


def test_health_of_everybody_and_of_one_person() -> None:
    now = clock.now()
    choose_rules({}, now=now - 2 * DAY, zone=UTC)
    mei = make_profile(user_id="mei", now=now - 60 * DAY)
    for n in range(10):
        make_fact(mei, "Product Viewed", at=now - n * DAY)
    judge_all(now)
    row = Health.objects.get(profile=mei)
    bands = a_program("segments:read").get("/api/scores/health").json()["bands"]
    assert {one["band"]: one["people"] for one in bands} == {
        **dict.fromkeys(("healthy", "watch", "at_risk", ""), 0),
        row.band: 1,
    }
    program = a_program("profiles:read")
    found = program.get(f"/api/people/{mei.public_id}/health").json()
    assert (found["score"], found["band"], found["coverage"]) == (row.score, row.band, 0.75)
    assert sum(part["contribution"] or 0 for part in found["parts"]) == pytest.approx(row.score, abs=1e-3)
    assert {part["key"] for part in found["parts"] if part["value"] is None} == {"service", "satisfaction"}
    chinese = program.client.get(f"/api/people/{mei.public_id}/health", headers={"accept-language": "zh-hans"}).json()
    assert chinese["parts"][0]["said"].startswith("最近 28 天活跃")
    assert program.get(f"/api/people/{make_profile().public_id}/health").status_code == 404
    assert program.get(f"/api/people/{uuid.uuid4()}/health").status_code == 404


def test_a_timeline_is_read_page_by_page_and_by_strand() -> None:
    now, mei = clock.now(), make_profile(user_id="mei")
    for n in range(45):
        make_fact(mei, f"Step {n}", at=now - n * timedelta(hours=1))
    StageChange.objects.create(profile=mei, at=now - DAY, before="", after="lapsed", reason="")
    program, path, seen = a_program("profiles:read"), f"/api/people/{mei.public_id}/timeline", []
    until = ""
    while True:
        found = program.get(f"{path}?only=facts{until}").json()
        seen += [one["title"] for one in found["results"]]
        if found["older"] is None:
            break
        until = f"&until={quote(found['older'])}"
    assert seen == [f"Step {n}" for n in range(45)]
    (stage,) = program.get(f"{path}?only=stages").json()["results"]
    assert (stage["kind"], stage["title"]) == ("stage", "lapsed")
    assert codes(program.get(f"{path}?only=nothing")) == [("invalid", "only")]
    assert program.get(f"{path}?until=0001-01-01T00:00:00%2B14:00").status_code in (200, 400)


def test_the_rules_of_scoring_are_set_and_what_is_wrong_is_told_at_its_place() -> None:
    program = a_program("segments:write")
    wrong: dict[str, Any] = {"mode": "fixed", "recency": [3, 2, 1, 0], "frequency": [1, 2, 3, 4], "monetary": [1, 2, 3]}
    assert {attr for _code, attr in codes(program.post("/api/scores/rfm/settings", wrong))} == {"recency", "monetary"}
    right = {
        **wrong,
        "recency": [30, 60, 120, 240],
        "monetary": [1, 2, 3, 4],
        "money": "mean",
        "window_days": 90,
        "counted": "days",
        "octants": "fixed",
        "octants_at": [60, 3, 50_000],
    }
    assert program.post("/api/scores/rfm/settings", right).json() == right
    assert (edges_settings().money, RfmEdges.objects.count()) == ("mean", 1)
    wrong = {"weights": {"activity": -1, "luck": 1}, "bounds": {"service": [3]}, "trend_weeks": 2}
    places = {attr for _code, attr in codes(program.post("/api/scores/health/settings", wrong))}
    assert places == {"weights.activity", "bounds.service.1"}
    right = {"weights": {"activity": 2.0}, "bounds": {"service": [10, 90]}, "params": {"service": {"days": 2}}}
    assert program.post("/api/scores/health/settings", right).json()["trend_weeks"] == 2
    assert settings_in_force().bounds == {"service": (10, 90)}
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"rfm.edges", "health.rules"}


def test_moves_that_take_too_long_are_null(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**_: Any) -> Any:
        raise TooSlow

    monkeypatch.setattr("segments.api.scores.movement", never)
    assert a_program("segments:read").get("/api/scores/rfm").json()["flow"] is None
