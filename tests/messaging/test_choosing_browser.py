"""The way out in a real browser, in Chinese, with scripts switched off: unsubscribe, take it back, choose less.

With PERENNIAL_SHOTS set to a folder, the pages are kept there as pictures.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from common.clock import now as clock_now
from messaging.links import page_url
from messaging.models import Address, Consent, Delivery, Preference
from messaging.permission import give_consent
from messaging.tokens import Purpose
from segments.models import Profile
from tests.messages import make_topic
from tests.messaging.mails import path_of, publish, sent, unsubscribe_path
from tests.people import make_profile

CHROMIUM = shutil.which("chromium")
SHOTS = os.environ.get("PERENNIAL_SHOTS", "")
TOPICS = {
    "offers": ("Offers", "优惠活动", "Gifts, discounts and new things worth knowing", "礼遇、折扣和值得了解的新品"),
    "news": ("News and guides", "资讯与指南", "The weekly digest, guides and stories", "每周精选、使用指南和故事"),
    "service": ("Service", "服务通知", "Points, levels, surveys", "积分、等级与调研"),
}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="the distribution's Chromium is not installed"),
]


@pytest.fixture
def row(transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Delivery:
    """A mail to a Chinese reader with two channels. Playwright keeps a loop in this thread; Django may still ask."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    settings.BRAND_NAME, settings.BRAND_ADDRESS = "青禾茶铺", "杭州市西湖区龙井路 1 号"
    now = clock_now()
    for key, (name, name_zh, about, about_zh) in TOPICS.items():
        purpose = "lifecycle" if key == "service" else "marketing"
        make_topic(key, name=name, name_zh=name_zh, description=about, description_zh=about_zh, purpose=purpose)
    person = make_profile(email="lin@example.com", phone="+8613800138000", first_name="Lin", locale="zh-CN", now=now)
    mail = sent(person, publish(now=now), now=now)
    phone = Address.objects.create(channel="sms", value="+8613800138000", profile=person, created_at=now)
    for topic in ("offers", "news"):
        give_consent(mail.address_id or 0, topic, now=now, source="form")
    give_consent(phone, "offers", now=now, source="form")
    return mail


@pytest.fixture(params=[390, 1280])
def page(request: pytest.FixtureRequest, row: Delivery, live_server: Any) -> Generator[Page]:
    """A browser without scripts; a refused resource fails the test."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            locale="en-US", viewport={"width": request.param, "height": 900}, base_url=live_server.url,
            java_script_enabled=False,
        )  # fmt: skip
        page, errors = context.new_page(), []
        page.on("console", lambda said: errors.append(said.text))
        page.on("requestfailed", lambda asked: errors.append(asked.url))
        yield page
        page.wait_for_load_state("networkidle")  # else the last answer is cut off, and counts as refused
        browser.close()
    assert errors == []


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        width = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=str(Path(SHOTS) / f"preferences-{name}-{width}.png"), full_page=True)


def standing(channel: str = "email") -> tuple[list[str], list[str]]:
    return Address.objects.values_list("consents", "refusals").get(channel=channel)


def section(page: Page, heading: str) -> Any:
    return page.get_by_role("region", name=heading)


def test_unsubscribe_take_it_back_and_choose_less(page: Page, row: Delivery) -> None:
    page.goto(unsubscribe_path(row))
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    shoot(page, "unsubscribe")
    page.get_by_role("button", name="确认退订").click()
    expect(page.get_by_role("heading", name="已退订")).to_be_visible()
    assert standing() == (["news"], ["offers"])
    shoot(page, "left")
    page.get_by_role("button", name="撤销").click()
    expect(page.get_by_role("status")).to_contain_text("已撤销")
    assert standing() == (["news", "offers"], [])

    often = section(page, "接收频率")
    often.get_by_role("radio", name="每周最多一条").check()
    often.get_by_role("button", name="保存").click()
    expect(page.get_by_role("status")).to_contain_text("已保存")
    expect(page.get_by_role("radio", name="每周最多一条")).to_be_checked()
    wish = Preference.objects.get()
    assert (wish.at_most, wish.period) == (1, "week")
    shoot(page, "less")

    page.get_by_role("button", name="暂停 30 天").click()
    expect(page.get_by_text("已暂停至")).to_be_visible()
    page.get_by_role("button", name="立即恢复").click()
    expect(page.get_by_role("button", name="暂停 30 天")).to_be_visible()
    assert Preference.objects.get().paused_until is None

    page.get_by_role("checkbox", name="资讯与指南 – 电子邮件").uncheck()
    page.get_by_role("checkbox", name="优惠活动 – 短信").uncheck()
    section(page, "接收内容").get_by_role("button", name="保存").click()
    expect(page.get_by_role("status")).to_contain_text("已保存")
    assert (standing(), standing("sms")) == ((["offers"], ["news"]), ([], ["offers"]))
    shoot(page, "topics")


def test_by_keyboard_alone(page: Page, row: Delivery) -> None:
    """Tab reaches the boxes in their order, space ticks, enter sends the form that it stands in."""
    page.goto(path_of(page_url(Purpose.PREFERENCES, row.pk, row.address_id)))
    page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox", name="资讯与指南 – 电子邮件")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("已保存")
    assert standing() == (["offers"], ["news"])
    assert Consent.objects.get(action="withdrawn").topic == "news"


def test_another_language_and_no_profiling(page: Page, row: Delivery) -> None:
    page.goto(path_of(page_url(Purpose.PREFERENCES, row.pk, row.address_id)))
    page.get_by_role("radio", name="English").check()
    section(page, "语言").get_by_role("button", name="保存").click()
    expect(page.get_by_role("heading", name="Your preferences")).to_be_visible()
    shoot(page, "english")
    page.get_by_role("checkbox", name="Do not choose messages by what I did").check()
    section(page, "Personalisation").get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    person = Profile.objects.get()
    assert (person.locale, person.no_profiling) == ("en", True)
    page.get_by_role("button", name="Stop everything").click()
    assert (standing(), standing("sms")) == (([], ["*"]), ([], ["*"]))


def test_nothing_is_wider_than_the_screen_and_every_target_is_large(page: Page, row: Delivery) -> None:
    page.goto(path_of(page_url(Purpose.PREFERENCES, row.pk, row.address_id)))
    width = page.viewport_size["width"] if page.viewport_size else 0
    for target in page.locator("button, label.box, label.choice").all():
        box = target.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 44
