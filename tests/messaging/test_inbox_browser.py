"""The inbox framed in a page of the shop, in a real browser without JavaScript, on a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from messaging import tokens
from messaging.models import Delivery
from messaging.publish import publish_template
from segments.models import Profile
from tests.messaging.channels.gateway import Said, serving
from tests.messaging.mails import draft, sent
from tests.people import make_profile

CHROMIUM = shutil.which("chromium")
SHOTS = os.environ.get("PERENNIAL_SHOTS", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="the distribution's Chromium is not installed"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def mei(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    now = datetime.now(UTC)
    person = make_profile(email="mei@example.com", first_name="梅", locale="zh-CN", timezone="Asia/Shanghai", now=now)
    body = '<p>{{ profile.first_name }}，您的<a href="https://shop.example/gift">礼物</a>已备好。</p>'
    for n, title in enumerate(("早安", "生日礼物")):
        template = draft(
            key=f"note-{n}", channel="inbox", klass="transactional", content={"zh-Hans": {"title": title, "body": body}}
        )
        template.save()
        row = sent(person, publish_template(template, now=now), prefix=f"n{n}")
        Delivery.objects.filter(pk=row.pk).update(expires_at=now + timedelta(days=7))
    return person


def shop_page(live_server: Any, person: Profile) -> Said:
    token = tokens.inbox_token(person.pk, now=datetime.now(UTC))
    page = f'<!doctype html><title>Shop</title><iframe src="{live_server.url}/inbox/page/{token}" width="380" height="760">'
    return Said(200, page.encode(), (("Content-Type", "text/html; charset=utf-8"),))


def test_a_shop_frames_the_inbox_and_its_buttons_work_without_scripts(
    live_server: Any, mei: Profile, browser: Browser, settings: Any
) -> None:
    with serving(lambda asked: shop_page(live_server, mei)) as shop:
        settings.INBOX_FRAMES = [shop.url]
        page = browser.new_context(java_script_enabled=False, viewport={"width": 400, "height": 800}).new_page()
        page.goto(shop.url)
        frame = page.frame_locator("iframe")
        expect(frame.locator("article")).to_have_count(2)
        expect(frame.locator("article").first).to_contain_text("梅，您的礼物已备好。")
        expect(frame.get_by_role("status")).to_have_text("2 条未读")
        if SHOTS:
            page.screenshot(path=str(Path(SHOTS) / "inbox-framed.png"))
        frame.locator("article").first.get_by_role("button", name="标为已读").click()
        expect(frame.get_by_role("status")).to_have_text("1 条未读")
        frame.locator("article").last.get_by_role("button", name="归档").click()
        expect(frame.locator("article")).to_have_count(1)
        frame.get_by_role("link", name="已归档").click()
        expect(frame.locator("article")).to_have_count(1)
        expect(frame.locator("article")).to_contain_text("早安")
    rows = Delivery.objects.order_by("pk").values_list("inbox_read_at", "inbox_archived_at")
    assert [(read is None, away is None) for read, away in rows] == [(True, False), (False, True)]


def test_a_page_that_is_not_named_shows_nothing_of_it(
    live_server: Any, mei: Profile, browser: Browser, settings: Any
) -> None:
    with serving(lambda asked: shop_page(live_server, mei)) as shop, serving(lambda asked: Said(404)) as other:
        settings.INBOX_FRAMES = [other.url]
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(shop.url)
        page.wait_for_load_state("networkidle")
        assert page.frame_locator("iframe").locator("article").count() == 0
