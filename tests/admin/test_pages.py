"""Every list and page of the admin: it renders in both languages, within its statements, and never counts the whole."""

from __future__ import annotations

import re
from typing import Any

import polib
import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from selectolax.lexbor import LexborHTMLParser

from campaigns.models import Journey
from messaging.models import Delivery
from segments.models import Event, Profile, Segment
from tests.admin.walk import FOREIGN, pages

LISTS = sorted(
    f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    for model in admin.site._registry
    if model._meta.app_label not in FOREIGN
)
# Session, user, permissions (2), and for the list itself: rows, filters' choices, counts of small tables.
MOST = 16
DASHBOARD_MOST = 60


@pytest.fixture(scope="module")
def words() -> dict[str, str]:
    """English texts that a Chinese page must not show, with their translation."""
    po = polib.pofile(str(settings.LOCALE_PATHS[0] / "zh_Hans/LC_MESSAGES/django.po"))
    return {e.msgid: e.msgstr for e in po if e.msgstr and e.msgstr != e.msgid and _telling(e.msgid)}


def _telling(text: str) -> bool:
    """A text whose presence is proof: a sentence or phrase, not a word that may be data or markup."""
    return " " in text and "%" not in text and "{" not in text and len(text) > 9


@pytest.mark.parametrize("name", LISTS)
def test_lists_stay_within_their_statements(shop: Any, login: Any, name: str) -> None:
    client = login("root")
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(reverse(name))
    assert answer.status_code == 200
    assert len(asked) <= MOST, "\n".join(q["sql"][:150] for q in asked)


def test_large_lists_never_count_their_table(shop: Any, login: Any) -> None:
    client = login("root")
    for model in (Event, Delivery, Profile):
        with CaptureQueriesContext(connection) as asked:
            client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        table = model._meta.db_table
        assert not [q["sql"] for q in asked if q["sql"].startswith("SELECT COUNT(") and f'FROM "{table}"' in q["sql"]]


def test_the_statements_of_a_list_do_not_grow_with_its_rows(shop: Any, login: Any) -> None:
    client, where = login("root"), reverse("admin:messaging_delivery_changelist")
    counts = []
    for many in ("?klass__exact=transactional", ""):
        with CaptureQueriesContext(connection) as asked:
            client.get(where + many)
        counts.append(len(asked))
    assert counts[1] - counts[0] <= 1


def test_the_dashboard_stays_within_its_statements(shop: Any, login: Any) -> None:
    client = login("root")
    with CaptureQueriesContext(connection) as asked:
        assert client.get("/admin/").status_code == 200
    assert len(asked) <= DASHBOARD_MOST


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_page_renders_in_its_language(shop: Any, login: Any, words: dict[str, str], language: str) -> None:
    client, seen, left = login("root", language), 0, {}
    urls = ["/admin/", "/admin/password_change/", *(page.url for page in pages() if "GET" in page.methods)]
    for url in urls:
        answer = client.get(url)
        assert answer.status_code in (200, 302, 403), url
        if answer.status_code != 200 or "html" not in answer["Content-Type"]:
            continue
        seen += 1
        if language == "zh-hans" and answer.headers.get("Content-Security-Policy") is None:
            shown = _texts(answer.content.decode())
            found = sorted(shown & words.keys())
            if found:
                left[url] = found
    assert left == {}
    assert seen > 120


def _texts(html: str) -> set[str]:
    """Every text of a page, and every label in its attributes, white space folded."""
    page = LexborHTMLParser(html)
    page.strip_tags(["script", "style", "pre", "textarea", "code", "svg"])
    found = {re.sub(r"\s+", " ", node.text(deep=False)).strip() for node in page.css("body *")}
    for name in ("placeholder", "title", "aria-label", "data-confirm"):
        found |= {str(node.attributes.get(name)) for node in page.css(f"[{name}]")}
    return found


def test_the_dashboard_shows_what_needs_a_person(shop: Any, login: Any) -> None:
    page = BeautifulSoup(login("root").get("/admin/").content, "html.parser")
    troubles = page.select_one("#troubles").get_text(" ", strip=True)  # type: ignore[union-attr]
    assert "Paused: channel sms, by sender: provider maintenance" in troubles
    assert "1 person is parked in the journey churn-winback" in troubles
    assert "messages are in doubt" in troubles
    assert not page.select(".p-todo a")


def test_a_person_is_found_by_exact_name_only(shop: Any, login: Any) -> None:
    client, where = login("viewer"), reverse("admin:segments_profile_changelist")
    mei = Profile.objects.get(email="mei.lin0@example.com")
    for term in (mei.email, "u-1000", "anon-0", str(mei.public_id)):
        page = client.get(where, {"q": term})
        assert [row.pk for row in page.context_data["cl"].result_list] == [mei.pk], term
    assert list(client.get(where, {"q": "mei"}).context_data["cl"].result_list) == []


def test_the_journey_page_counts_people_at_each_step(shop: Any, login: Any) -> None:
    journey = Journey.objects.get(key="churn-winback")
    page = BeautifulSoup(
        login("viewer").get(reverse("admin:campaigns_journey_change", args=[journey.pk])).content, "html.parser"
    )
    here = {
        node["data-node"]: int(node.select_one("[data-here]").text)
        for node in page.select("[data-node]")
        if node.select_one("[data-here]")
    }  # type: ignore[union-attr]
    expected = dict.fromkeys(journey.live_version.graph["nodes"], 0)  # type: ignore[union-attr]
    for node in journey.enrolments.filter(state__in=["active", "parked"]).values_list("node", flat=True):
        expected[node] += 1
    assert here == expected


def test_a_segment_page_speaks_the_operators_language(shop: Any, login: Any) -> None:
    segment = Segment.objects.get(key="slipping-away")
    url = reverse("admin:segments_segment_change", args=[segment.pk])
    chinese, english = (login("viewer", language).get(url).context_data["said"] for language in ("zh-hans", "en"))
    assert english != chinese
    assert re.search("[\u4e00-\u9fff]", chinese)
