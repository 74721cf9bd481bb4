"""The pages of scores and of one segment: what they show, in how many statements, and what their buttons do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from bs4 import BeautifulSoup
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from common import clock
from common.models import AuditEntry
from segments.models import Scores, Segment, SegmentRun
from tests.admin.seed import make_users

MOST = 24


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:segments_segment_{name}", args=args)


def soup(answer: Any) -> BeautifulSoup:
    assert answer.status_code == 200
    return BeautifulSoup(answer.content, "html.parser")


@pytest.mark.parametrize("name", ["rfm", "stages", "health", "scored"])
def test_boards_take_few_statements_whatever_the_people(shop: Any, login: Any, name: str) -> None:
    client, counts = login("viewer"), []
    for query in ("?days=7&cell=lost", "?days=90"):
        with CaptureQueriesContext(connection) as asked:
            assert client.get(url(name) + query).status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1] <= MOST, counts


@pytest.mark.parametrize("name", ["rfm", "stages", "health", "scored"])
def test_boards_without_anybody(db: None, login: Any, name: str) -> None:
    make_users()
    assert soup(login("viewer").get(url(name))).select_one(".p-page")


def test_a_cell_leads_to_its_people_and_to_a_segment_of_them(shop: Any, login: Any) -> None:
    page = soup(login("author").get(url("rfm")))
    row = page.select_one("[data-cell=champions]")
    assert row is not None
    people = soup(login("author").get(str(row.select_one("a")["href"])))  # type: ignore[index]
    assert len(people.select("[data-people] tbody tr")) == Scores.objects.filter(cell="champions").count() > 0
    make = str(row.select_one("[data-make]")["href"])  # type: ignore[index]
    given = parse_qs(urlsplit(make).query)
    assert json.loads(given["rule"][0]) == {"op": "rfm_cell", "params": {"cells": ["champions"]}}
    form = soup(login("author").get(make))
    assert form.select_one("input[value=champions][checked]")
    assert form.select_one("#id_key")["value"] == "cell-champions"  # type: ignore[index]
    assert not soup(login("viewer").get(url("rfm"))).select("[data-make]")


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_segment_of_a_board_is_named_in_both_languages(shop: Any, login: Any, language: str) -> None:
    client = login("author")
    client.cookies["django_language"] = language
    asked = {
        url("rfm"): ("RFM: Champions", "RFM: 冠军客户"),
        url("scored") + "?octant=key_value&r=5": ("RFM: Key Value · R 5", "RFM: 重要价值 · R 5"),
        url("stages"): ("growing", "成长"),
        url("health_people"): ("Health: too little known", "健康度: 数据不足"),
    }
    named = {}
    for where in asked:
        links = [str(a["href"]) for a in soup(client.get(where)).select(f'a[href^="{url("add")}?"]')]
        forms = [QueryDict(link.partition("?")[2]) for link in links]
        named[where] = {(form["name"], form["name_zh"]) for form in forms}
    assert {where: pair for where, pair in asked.items() if pair not in named[where]} == {}, named


def test_what_an_address_filled_in_is_not_filled_in_again(login: Any) -> None:
    client, rule = login("author"), {"op": "rfm_cell", "params": {"cells": ["lost"]}}
    given = {"rule": json.dumps(rule), "key": "cell-lost", "name": "RFM: Lost", "_changelist_filters": "state=active"}
    where = f"{url('add')}?{urlencode(given)}"
    for word, seen in (("_continue", "change/"), ("_addanother", "add/")):
        data = {"name": "Lost", "name_zh": "", "key": f"lost{word.replace('_', '-')}", "description": ""}
        answer = client.post(where, {**data, "rule": json.dumps(rule), word: "1"})
        assert answer.status_code == 302
        path, _, query = answer["Location"].partition("?")
        assert path.endswith(seen)
        assert QueryDict(query).dict() == {"_changelist_filters": "state=active"}


def test_the_people_of_a_square_come_page_by_page(shop: Any, login: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.admin.scores.PAGE", 3)
    client, where, seen = login("viewer"), url("scored") + "?m=1", []
    while where:
        page = soup(client.get(where))
        seen += [str(a["href"]) for a in page.select("[data-people] tbody a")]
        after = page.select_one("a[rel=next]")
        where = url("scored") + str(after["href"]) if after else ""
    assert len(seen) == len(set(seen)) == Scores.objects.filter(m=1).count() > 3


@pytest.mark.parametrize(
    "query", ["?after=x", "?after=٣", "?cell=%00", "?r=99", f"?after={'9' * 40}", "?days=-1", "?spent__gt=1"]
)
def test_addresses_that_make_no_sense_are_no_fault(shop: Any, login: Any, query: str) -> None:
    for name in ("scored", "rfm", "stages", "health"):
        assert login("viewer").get(url(name) + query).status_code == 200


def test_a_rule_in_the_address_that_is_none_is_left_out(shop: Any, login: Any) -> None:
    for rule in ("{", "[1]", "%00"):
        assert login("author").get(f"{url('add')}?rule={rule}").status_code == 200


def test_the_page_of_a_segment_shows_progress_and_stops_it(shop: Any, login: Any) -> None:
    segment, now = Segment.objects.get(key="slipping-away"), clock.now()
    page = soup(login("author").get(url("progress", segment.pk)))
    assert not page.select("[hx-get], form")
    run = SegmentRun.objects.create(segment=segment, mode="build", as_of=now, started_at=now, progress=40)
    page = soup(login("author").get(url("progress", segment.pk)))
    assert page.select_one("[role=progressbar]")["aria-valuenow"] == "40"  # type: ignore[index]
    assert page.select_one("[hx-trigger='every 3s']")
    assert not soup(login("viewer").get(url("progress", segment.pk))).select("form")
    assert login("viewer").post(url("cancel", segment.pk)).status_code == 403
    answer = login("author").post(url("cancel", segment.pk), follow=True)
    assert "was stopped" in answer.content.decode()
    run.refresh_from_db()
    segment.refresh_from_db()
    assert (run.state, segment.state) == ("cancelled", "paused")
    assert AuditEntry.objects.filter(action="segment.cancel").latest("pk").actor_name == "author"
    again = login("author").post(url("cancel", segment.pk), follow=True)
    assert "Nothing is being built" in again.content.decode()


def test_a_state_that_cannot_be_reached_is_an_error(shop: Any, login: Any) -> None:
    segment, said = Segment.objects.get(key="vip"), []
    for to in ("paused", "paused", "nowhere"):
        answer = login("author").post(url("state", segment.pk), {"to": to}, follow=True)
        (message,) = answer.context["messages"]
        said.append(message.level_tag)
    segment.refresh_from_db()
    assert (said, segment.state) == (["success", "error", "error"], "paused")
    assert AuditEntry.objects.filter(action="segment.paused", subject="segment:vip").count() == 1


def test_overlap_and_moves_are_fragments_in_few_statements(shop: Any, login: Any) -> None:
    segment, client = Segment.objects.order_by("pk")[0], login("viewer")
    for name in ("overlap", "moves"):
        with CaptureQueriesContext(connection) as asked:
            page = soup(client.get(url(name, segment.pk)))
        assert len(asked) <= 16  # with the limit of time around the question
        assert page.select("table, .p-empty")
        assert page.select_one("html") is None


def test_what_takes_too_long_is_said_politely(shop: Any, login: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from segments import overlaps
    from segments.admin import scores
    from segments.patience import TooSlow

    def never(*_: Any, **__: Any) -> Any:
        raise TooSlow

    segment = Segment.objects.order_by("pk")[0]
    monkeypatch.setattr(overlaps, "overlaps", never)
    monkeypatch.setattr(overlaps, "came_and_went", never)
    monkeypatch.setattr(scores, "movement", never)
    for address in (url("overlap", segment.pk), url("moves", segment.pk), url("rfm")):
        assert "longer than a few seconds" in soup(login("viewer").get(address)).get_text()


def test_the_page_of_a_segment_takes_as_many_statements_with_a_longer_history(shop: Any, login: Any) -> None:
    segment, client, counts, now = Segment.objects.get(key="vip"), login("viewer"), [], clock.now()
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            client.get(url("change", segment.pk))
        counts.append(len(asked))
        for n in range(20):
            SegmentRun.objects.create(
                segment=segment, mode="changed", state="done", as_of=now, started_at=now - timedelta(hours=n)
            )
    assert counts[0] == counts[1]
