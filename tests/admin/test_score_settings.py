"""Settings of RFM and health typed by an operator, wrong ones told at their fields; people of a band with the account."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from common.models import AuditEntry
from segments.health_reads import explain_health
from segments.health_rules import choose_rules, settings_in_force
from segments.models import Health, HealthRules, RfmEdges
from segments.rfm_settings import edges_settings
from segments.scores import score_all
from tests.admin.seed import make_users
from tests.people import NOW, make_order, make_profile
from tests.segments.health.test_metrics import UTC

pytestmark = pytest.mark.django_db
RFM = {"window_days": "90", "money": "mean", "mode": "fixed", "counted": "days", "recency": "30，60, 120, 240", "frequency": "1,2,4,8",
       "monetary": "50, 100.5, 200, 400", "octants": "fixed", "octants_at": "60, 3, 100.5"}  # fmt: skip


def url(name: str) -> str:
    return reverse(f"admin:segments_segment_{name}")


def told(answer: Any) -> dict[str, str]:
    """Field → what is wrong with it."""
    page = BeautifulSoup(answer.content, "html.parser")
    found = {str(one["data-setting"]): one.select_one("small[style]") for one in page.select("[data-setting]")}
    return {name: said.text for name, said in found.items() if said is not None}


def posted(answer: Any) -> dict[str, str]:
    """What a browser would send of the form as it is shown."""
    page = BeautifulSoup(answer.content, "html.parser")
    sent = {str(one["name"]): str(one.get("value", "")) for one in page.select("[data-setting] input")}
    for one in page.select("[data-setting] select"):
        sent[str(one["name"])] = str(one.select_one("option[selected]")["value"])  # type: ignore[index]
    return sent


def test_rfm_by_thresholds_window_and_mean() -> None:
    make_users()
    client = _client("author")
    answer = client.post(url("rfm_settings"), RFM)
    assert (answer.status_code, answer["location"]) == (302, url("rfm"))
    row = RfmEdges.objects.get()
    assert (row.window_days, row.money, row.mode, row.counted) == (90, "mean", "fixed", "days")
    assert (row.recency, row.frequency) == ([30, 60, 120, 240], [1, 2, 4, 8])
    assert row.monetary == [5000, 10050, 20000, 40000]
    assert (row.halves, row.means) == ("fixed", {"recency": 60, "frequency": 3, "monetary": 10050})
    shown = posted(client.get(url("rfm_settings")))
    assert shown == {**RFM, "recency": "30, 60, 120, 240", "frequency": "1, 2, 4, 8"}
    assert client.post(url("rfm_settings"), shown).status_code == 302
    assert edges_settings().monetary == [5000, 10050, 20000, 40000]
    entry = AuditEntry.objects.filter(action="rfm.edges").first()
    assert entry is not None
    assert str(entry.actor) == "author"


def test_what_is_wrong_with_rfm_is_told_at_each_field() -> None:
    make_users()
    wrong = {**RFM, "window_days": "many", "recency": "30, 20, 10, 5", "frequency": "1, x, 4, 8", "monetary": "1e999"}
    answer = _client("author").post(url("rfm_settings"), wrong)
    assert told(answer) == {
        "window_days": "A whole number is needed here.",
        "recency": "give four ascending thresholds",
        "frequency": "A number is needed here.",
        "monetary": "At most 1000000000000000.",
    }
    answer = _client("author", "zh-hans").post(url("rfm_settings"), wrong)
    assert told(answer)["recency"] == "请给出四个递增的阈值"
    answer = _client("author").post(url("rfm_settings"), {**RFM, "mode": "quantile"})
    assert "thresholds are used in mode fixed only" in answer.content.decode()
    assert not RfmEdges.objects.exists()


def test_the_board_says_by_what_it_is_reckoned() -> None:
    make_users()
    for n in range(3):
        make_order(make_profile(user_id=f"u{n}"), total=1000 * (n + 1), at=NOW - n * timedelta(days=10))
    score_all(NOW)
    page = _page(_client("viewer"), "rfm")
    said = page.select_one("[data-edges]")
    assert said is not None
    assert "of 3 people" in said.text
    assert "4 · 8 · 12 · 16" in said.text
    assert page.select_one("[data-few]")
    _client("author").post(url("rfm_settings"), RFM)
    page = _page(_client("viewer"), "rfm")
    assert "30 · 60 · 120 · 240" in page.select_one("[data-edges]").text  # type: ignore[union-attr]
    assert "F counts days with an order · M is the average order · thresholds set by hand" in page.text
    assert not page.select_one("[data-few]")


def test_health_as_shown_is_health_as_it_is() -> None:
    make_users()
    client = _client("author")
    shown = posted(client.get(url("health_settings")))
    assert shown["weights.activity"] == "0.4"
    assert shown["trend_weeks"] == "2"
    assert client.post(url("health_settings"), shown).status_code == 302
    row = HealthRules.objects.get()
    assert (row.declared, row.trend_weeks) == ({}, 2)
    changed = {**shown, "weights.service": "0", "bounds.activity": "2, 12", "params.service.days": "3",
               "params.adoption.features": "Product Viewed, Order Completed", "trend_weeks": "4"}  # fmt: skip
    assert client.post(url("health_settings"), changed).status_code == 302
    found = settings_in_force()
    assert (found.weights["service"], found.bounds, found.trend_weeks) == (0, {"activity": (2, 12)}, 4)
    assert found.params["service"] == {"days": 3}
    assert found.params["adoption"] == {"features": ["Product Viewed", "Order Completed"]}
    assert posted(client.get(url("health_settings"))) == changed


def test_what_is_wrong_with_health_is_told_at_each_field() -> None:
    make_users()
    client = _client("author")
    shown = posted(client.get(url("health_settings")))
    wrong = {**shown, "weights.activity": "-1", "bounds.adoption": "5", "bounds.service": "9, 3",
             "params.service.days": "soon", "trend_weeks": "99"}  # fmt: skip
    found = told(client.post(url("health_settings"), wrong))
    assert set(found) == {"weights.activity", "bounds.adoption", "trend_weeks"}
    mended = {**wrong, "weights.activity": "1", "bounds.adoption": "", "trend_weeks": "3"}
    found = told(client.post(url("health_settings"), mended))
    assert set(found) == {"bounds.service", "params.service.days"}
    assert not HealthRules.objects.exists()


def test_who_may_only_look_sees_no_settings() -> None:
    make_users()
    for name, board in (("rfm_settings", "rfm"), ("health_settings", "health")):
        assert _client("viewer").get(url(name)).status_code == 403
        assert "data-settings" not in _client("viewer").get(url(board)).content.decode()
        assert "data-settings" in _client("author").get(url(board)).content.decode()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_band_lists_its_people_the_worst_first_with_the_account(
    language: str, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    make_users()
    monkeypatch.setattr("segments.admin.scores.PAGE", 2)
    rules = choose_rules({}, now=NOW, zone=UTC)
    people = [make_profile(user_id=f"u{n}") for n in range(5)]
    for n, person in enumerate(people):
        Health.objects.create(
            profile=person, rules_id=rules.pk, score=(30, 10, 20, 10, 5)[n], coverage=0.75, trend=-3.5, band="at_risk",
            since=NOW, parts={"activity": 2.0, "adoption": 0.0, "service": None}, computed_at=NOW,
        )  # fmt: skip
    client, where, seen = _client("viewer", language), url("health_people") + "?band=at_risk", []
    while where:
        with django_assert_max_num_queries(12):
            page = BeautifulSoup(client.get(where).content, "html.parser")
        seen += [int(re.findall(r"\d+", str(a["href"]))[0]) for a in page.select("[data-people] tbody a")]
        after = page.select_one("a[rel=next]")
        where = url("health_people") + str(after["href"]) if after else ""
    assert seen == [people[n].pk for n in (4, 1, 3, 2, 0)]
    with override(language):
        explained = explain_health(people[0].pk, language)
    assert explained is not None
    row = page.select("[data-people] tbody tr")[-1].text
    assert all(part.said in row for part in explained.parts)
    assert f"{explained.parts[0].contribution:.1f}" in row
    assert "band=at_risk" in str(_page(client, "health").select_one("[data-band=at_risk] a.p-figure"))


def test_odd_addresses_of_a_band_are_no_fault() -> None:
    make_users()
    for query in (
        "?band=%00",
        "?band=watch&after=x",
        "?after=999999:1",
        "?band=watch&after=1e5:2",
        f"?after={'9' * 40}",
    ):
        assert _client("viewer").get(url("health_people") + query).status_code == 200


def _client(role: str, language: str = "en") -> Any:
    client = Client(headers={"accept-language": language})
    client.force_login(User.objects.get(username=role))
    return client


def _page(client: Any, name: str) -> BeautifulSoup:
    return BeautifulSoup(client.get(url(name)).content, "html.parser")
