"""A segment of three levels built by hand in a real browser, in Chinese; a rule broken and told at its fields."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.admin.test_browser import CHROMIUM, keep, page, shop  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="the distribution's Chromium is not installed"),
]


@pytest.fixture
def language() -> str:
    return "zh-CN"


def box(page: Page, place: str) -> Any:  # noqa: F811
    return page.locator(f"#rule-builder [data-place='{place}']")


def ask(page: Page, words: str, place: str) -> None:  # noqa: F811
    """Type words into the open picker and take the first question with Enter, by keyboard alone."""
    page.locator("[data-picker-search]").first.fill(words)
    page.keyboard.press("Enter")
    expect(box(page, place).locator("[data-picker]")).to_have_count(0)


def field(page: Page, place: str, name: str) -> Any:  # noqa: F811
    return box(page, place).locator(f"[data-field='{name}']").first


def test_three_levels_by_hand(page: Page, language: str, shop: datetime) -> None:  # noqa: F811
    page.goto("/admin/segments/segment/add/")
    page.fill("#id_name", "Chinese sleepers")
    page.fill("#id_name_zh", "中国沉睡用户")
    expect(page.locator("[data-count]")).to_have_text("48")
    page.click("#rule-0-add")
    ask(page, "用户属性", "0.0")
    field(page, "0.0", "trait").locator("input").first.fill("country")
    field(page, "0.0", "op").locator("select").select_option("equals")
    field(page, "0.0", "value").locator("input").first.fill("CN")
    expect(page.locator("[data-sentence]")).to_have_text("country 为 CN")
    expect(page.locator("[data-count]")).to_have_text("12")
    page.click("#rule-0-add-any")
    ask(page, "stage", "0.1.0")
    box(page, "0.1.0").locator("input[value=lapsed]").check()
    page.click("#rule-0_1-add-not")
    ask(page, "下单", "0.1.1.0")
    keep(page, "builder", language)
