"""What the API answers: segments, people, messages, the inbox, journeys, enrolling and reports."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.translation import override

from campaigns.models import Arm, Enrolment, Experiment, Journey
from common import clock
from common.models import AuditEntry
from messaging.models import Account, Attempt, Delivery
from segments.models import Membership, Scores, Segment, StageChange
from tests.api.callers import a_program, codes
from tests.campaigns.stories import click, make_campaign, make_delivery, make_goal, order, read_all
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
RULE = {"all": [{"op": "trait", "params": {"trait": "country", "is": "is", "value": "CN"}}]}
GRAPH = {
    "trigger": {"type": "fact", "params": {"fact": "Signed Up"}},
    "start": "wait",
    "nodes": {
        "wait": {"type": "wait", "params": {"for": "3d"}, "next": {"next": "done"}},
        "done": {"type": "exit", "params": {}},
    },
    "entry": {"reentry": "once"},
}


def make_journey(key: str = "welcome", graph: Any = None) -> Journey:
    """A live journey, published as an operator would."""
    from campaigns.publish import publish

    journey = Journey.objects.create(key=key, name=key.title(), campaign=make_campaign(), draft=graph or GRAPH)
    publish(journey, now=clock.now(), by=None)
    journey.refresh_from_db()
    return journey


# Segments


def test_segments_their_size_and_their_members_page_by_page() -> None:
    row = Segment.objects.create(key="cn", name="China", name_zh="中国", rule={"all": []}, size=3, evaluated_at=NOW)
    people = [make_profile(user_id=f"u{n}") for n in range(3)]
    for n, person in enumerate(people):
        Membership.objects.create(segment=row, profile=person, entered_at=NOW + timedelta(minutes=n))
    program = a_program("segments:read")
    (shown,) = program.get("/api/segments").json()["results"]
    assert (shown["key"], shown["name_zh"], shown["size"], shown["state"]) == ("cn", "中国", 3, "active")
    detail = program.get("/api/segments/cn").json()
    assert (detail["sentence"], detail["building"]) == ("everyone", True)
    assert program.get("/api/segments/cn/count").json() == {"count": 3, "as_of": "2026-03-02T12:00:00Z", "live": False}
    make_profile()
    live = program.get("/api/segments/cn/count", live="true").json()
    assert (live["count"], live["live"]) == (4, True)
    first = program.get("/api/segments/cn/members", limit=2).json()
    assert [one["user_ids"] for one in first["results"]] == [["u2"], ["u1"]]
    second = program.client.get(first["next"]).json()
    assert [one["user_ids"] for one in second["results"]] == [["u0"]]
    assert second["next"] is None
    assert program.get("/api/segments/none/members").status_code == 404


def test_members_cost_the_same_however_many(django_assert_num_queries: Any) -> None:
    row = Segment.objects.create(key="all", name="All", rule={"all": []})
    for n in range(20):
        Membership.objects.create(segment=row, profile=make_profile(user_id=f"u{n}"), entered_at=NOW)
    program = a_program("segments:read")
    program.get("/api/segments/all")
    with django_assert_num_queries(4):
        assert len(program.get("/api/segments/all/members").json()["results"]) == 20


# People


def test_a_person_by_user_id_with_scores_and_segments() -> None:
    mei = make_profile(user_id="shop/7", email="mei@example.com", traits={"tier": "gold"}, country="CN")
    program = a_program("profiles:read")
    shown = program.get("/api/profiles/shop/7").json()
    assert (shown["public_id"], shown["user_ids"], shown["traits"]) == (
        str(mei.public_id),
        ["shop/7"],
        {"tier": "gold"},
    )
    assert (shown["scores"], shown["segments"], shown["points"]) == (None, [], 0)
    mei.erased_at = NOW
    mei.save()
    assert program.get("/api/profiles/shop/7").status_code == 404


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "4 orders, silent for 33 days, more than 31 by the own rhythm"),
        ("zh-hans", "4 个订单，已沉默 33 天，超过自身节奏的 31 天"),
    ],
)
def test_why_somebody_is_at_a_stage_as_key_and_in_words(language: str, text: str) -> None:
    mei = make_profile(user_id="mei")
    Scores.objects.create(profile=mei, stage="at_risk", computed_at=NOW)
    client = a_program("profiles:read").client
    with override("en"):  # puts the language back that the request leaves behind
        asked: dict[str, Any] = {"headers": {"Accept-Language": language}}
        assert client.get("/api/profiles/mei", **asked).json()["scores"]["stage_reason"] is None
        for day, after in enumerate(["mature", "at_risk"]):
            reason = "silent_own:orders=4,silent=33,limit=31" if after == "at_risk" else "ordered:orders=8,silent=0"
            StageChange.objects.create(profile=mei, at=NOW + timedelta(days=day), after=after, reason=reason)
        shown = client.get("/api/profiles/mei", **asked).json()["scores"]["stage_reason"]
    assert shown == {"key": "silent_own", "numbers": {"orders": 4, "silent": 33, "limit": 31}, "text": text}


# Messages


def test_messages_with_their_attempts_and_filters() -> None:
    mei, bo = make_profile(user_id="mei"), make_profile(user_id="bo")
    account = Account.objects.create(key="main", name="Main", channel="email")
    sent = make_delivery(mei, journey="back", campaign="winback")
    make_delivery(bo, state="skipped", reason="consent")
    Attempt.objects.create(
        delivery=sent, n=1, account=account, lease_token=sent.public_id, started_at=NOW, answered_at=NOW, outcome="sent"
    )
    program = a_program("deliveries:read")
    assert len(program.get("/api/deliveries").json()["results"]) == 2
    (mine,) = program.get("/api/deliveries", user_id="mei", state="accepted", journey="back").json()["results"]
    assert (mine["public_id"], mine["profile"], mine["template"]) == (str(sent.public_id), str(mei.public_id), "hello")
    assert program.get("/api/deliveries", user_id="nobody").status_code == 404
    detail = program.get(f"/api/deliveries/{sent.public_id}").json()
    assert detail["utm"]["utm_campaign"] == "winback"
    assert [(one["n"], one["account"], one["outcome"]) for one in detail["attempts"]] == [(1, "main", "sent")]


def test_extra_fields_change_nothing() -> None:
    sent = make_delivery(make_profile(user_id="mei"))
    program = a_program("*")
    body = {"user_id": "mei", "state": "planned", "is_staff": True, "inbox_read_at": "2020-01-01"}
    assert program.post(f"/api/inbox/{sent.public_id}/read", body).status_code == 404
    assert Delivery.objects.get().state == "accepted"


# Journeys


def test_enrolling_tells_each_person_and_replays_the_same() -> None:
    journey = make_journey()
    mei = make_profile(user_id="mei")
    program = a_program("journeys:enrol")
    body = {"people": [{"user_id": "mei", "variables": {"gift": "tea"}}, {"user_id": "nobody"}]}
    first = program.post("/api/journeys/welcome/enrol", body, Idempotency_Key="order-1")
    assert first.status_code == 200, first.content
    row = Enrolment.objects.get()
    assert (row.profile, row.journey, row.context["event"]["properties"]) == (mei, journey, {"gift": "tea"})
    assert first.json()["results"] == [
        {"user_id": "mei", "status": "enrolled", "reason": "", "enrolment": row.pk, "held_out": False},
        {"user_id": "nobody", "status": "unknown", "reason": "", "enrolment": None, "held_out": False},
    ]
    again = program.post("/api/journeys/welcome/enrol", body, Idempotency_Key="order-1")
    assert again.json() == first.json()
    other = program.post("/api/journeys/welcome/enrol", body, Idempotency_Key="order-2").json()["results"]
    assert [(one["status"], one["reason"]) for one in other] == [("refused", "under_way"), ("unknown", "")]
    assert Enrolment.objects.exclude(state="refused").count() == 1
    said = AuditEntry.objects.filter(action="journey.enrol").order_by("id").first()
    assert said is not None
    assert (said.subject, said.detail) == ("journey:welcome", {"people": 2, "entered": 1})


def test_enrolling_wants_a_live_journey_and_an_idempotency_key() -> None:
    make_profile(user_id="mei")
    Journey.objects.create(key="draft", name="Draft", campaign=make_campaign(), draft=GRAPH)
    program = a_program("journeys:enrol")
    body = {"people": [{"user_id": "mei"}]}
    assert codes(program.post("/api/journeys/draft/enrol", body)) == [("invalid", "Idempotency-Key")]
    answer = program.post("/api/journeys/draft/enrol", body, Idempotency_Key="k")
    assert (answer.status_code, codes(answer)) == (409, [("not_live", None)])
    assert program.post("/api/journeys/none/enrol", body, Idempotency_Key="k").status_code == 404
    many = {"people": [{"user_id": str(n)} for n in range(501)]}
    answer = program.post("/api/journeys/draft/enrol", many, Idempotency_Key="k")
    assert (answer.status_code, codes(answer)) == (400, [("max_length", "people")])
    assert not Enrolment.objects.exists()


def test_journeys_and_their_funnel() -> None:
    make_journey()
    make_profile(user_id="mei")
    program = a_program("*")
    program.post("/api/journeys/welcome/enrol", {"people": [{"user_id": "mei"}]}, Idempotency_Key="k")
    (shown,) = program.get("/api/journeys").json()["results"]
    assert (shown["key"], shown["state"], shown["version"], shown["campaign"]) == ("welcome", "live", 1, "winback")
    assert program.get("/api/journeys/welcome").json()["graph"]["start"] == "wait"
    funnel = program.get("/api/journeys/welcome/funnel").json()
    assert [(node["node"], node["type"]) for node in funnel["nodes"]] == [("wait", "wait"), ("done", "exit")]
    assert (funnel["version"], funnel["held_out"]) == (1, False)


# Reports


def test_the_list_of_reports_names_their_parameters() -> None:
    found = {one["key"]: one for one in a_program("reports:read").get("/api/reports").json()["results"]}
    assert {"utm-conversions", "holdout-lift"} <= found.keys()
    assert set(found["utm-conversions"]["params"]["properties"]) == {"from", "to", "model", "by"}


@pytest.mark.django_db(transaction=True)
def test_the_utm_report_as_json_and_as_csv() -> None:
    mei = make_profile()
    make_goal()
    click(mei, make_delivery(mei), NOW)
    order(mei, NOW + timedelta(hours=1), 1234)
    read_all()
    program = a_program("reports:read")
    query = {"from": "2026-03-01", "to": "2026-03-03", "model": "linear", "by": "source,campaign"}
    table = program.get("/api/reports/utm-conversions", **query).json()
    assert table["params"] == {**query, "by": ["source", "campaign"]}
    assert table["rows"][0]["campaign"] == "winback"
    assert table["total"]["revenue"] == 1234
    assert "Credit follows the model “Linear”." in table["notes"]
    answer = program.get("/api/reports/utm-conversions", format="csv", **query)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="utm-conversions.csv"'
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert lines[1][:3] == ["shop", "winback", "1"]
    assert "12.34" in lines[1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("report", ["utm-conversions", "holdout-lift"])
def test_the_page_gives_the_very_file_that_the_api_gives(report: str, language: str) -> None:
    mei = make_profile()
    make_goal()
    click(mei, make_delivery(mei), NOW)
    order(mei, NOW + timedelta(hours=1), 123456)
    read_all()
    tried = Experiment.objects.create(key="=1+1", kind="holdout", salt="s", journey="back", started_at=NOW)
    for n, arm in enumerate(("control", "treated")):
        Arm.objects.create(experiment=tried, key=arm, position=n, weight=0.5, control=arm == "control")
    query = {"from": "2026-03-01", "to": "2026-03-03"} if report == "utm-conversions" else {}
    program, page = a_program("reports:read").client, Client()
    page.force_login(User.objects.create_superuser("root"))
    with override("en"):  # puts the language back that the requests leave behind
        asked: dict[str, Any] = {"data": {**query, "format": "csv"}, "headers": {"Accept-Language": language}}
        file = program.get(f"/api/reports/{report}", **asked)
        shown = page.get(f"/admin/reports/{report}/", **asked)
    assert (file.status_code, shown.status_code) == (200, 200)
    assert shown.content == file.content
    lines = list(csv.reader(io.StringIO(shown.content.decode("utf-8-sig"))))
    if report == "utm-conversions":
        assert lines[0][-2] == {"en": "Revenue (USD)", "zh-hans": "收入 (USD)"}[language]
        assert lines[1][-2] == "1234.56"  # major units
    else:
        assert lines[1][:3] == ["back", "'=1+1", "treated"]  # no formula


def test_titles_follow_the_language_asked_for() -> None:
    client = a_program("reports:read").client
    with override("en"):  # puts the language back that the request leaves behind
        answer = client.get("/api/reports/utm-conversions", headers={"Accept-Language": "zh-hans"})
    assert answer.json()["columns"][0]["title"] == "来源"
