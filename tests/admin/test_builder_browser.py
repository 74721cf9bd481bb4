"""A segment of three levels built by hand in a real browser, in Chinese; a rule broken and told at its fields."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from segments.live import estimate
from segments.models import Segment
from segments.reads import at
from segments.refresh import refresh_segment
from segments.rules.compile import people
from segments.rules.parse import parse_rule
from tests.admin.test_browser import CHROMIUM, keep, page, shop  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="the distribution's Chromium is not installed"),
]
BUILT = {
    "all": [
        {"op": "trait", "params": {"trait": "country", "op": "equals", "value": "CN"}},
        {
            "any": [
                {"op": "stage", "params": {"stages": ["newcomer", "lapsed"]}},
                {"not": {"op": "order_count", "params": {"op": "at_least", "count": 1, "days": 90.0}}},
            ]
        },
    ]
}


@pytest.fixture
def language() -> str:
    return "zh-CN"


def box(page: Page, place: str) -> Any:  # noqa: F811
    return page.locator(f"#rule-builder [data-place='{place}']")


def field(page: Page, place: str, name: str) -> Any:  # noqa: F811
    return box(page, place).locator(f"[data-field='{name}']").first


def ask(page: Page, words: str, place: str) -> None:  # noqa: F811
    """Type words into the open picker and take the first question with Enter, by keyboard alone."""
    expect(page.locator("[data-picker-search]")).to_be_focused()
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    expect(box(page, place).locator("[data-picker]")).to_have_count(0)
    expect(box(page, place).locator(".p-fields :is(input, select)").first).to_be_focused()


def test_three_levels_by_hand(page: Page, language: str, shop: datetime) -> None:  # noqa: F811
    page.goto("/admin/segments/segment/add/")
    page.fill("#id_name", "Chinese sleepers")
    page.fill("#id_name_zh", "中国沉睡用户")
    expect(page.locator("[data-count]")).to_have_text("48")
    expect(page.locator("[data-sentence]")).to_have_text("所有人")
    page.click("#rule-0-add")
    keep(page, "builder-picker", language)
    ask(page, "用户属性", "0.0")
    page.keyboard.type("country")
    field(page, "0.0", "op").locator("select").select_option("equals")
    field(page, "0.0", "value").locator("input").first.fill("CN")
    expect(page.locator("[data-sentence]")).to_have_text("country 为 CN")
    expect(page.locator("[data-count]")).to_have_text("12")
    page.click("#rule-0-add-any")
    ask(page, "stage", "0.1.0")
    for stage in ("newcomer", "lapsed"):
        box(page, "0.1.0").locator(f"input[value={stage}]").check()
    page.click("#rule-0_1-add-not")
    ask(page, "order count", "0.1.1.0")
    field(page, "0.1.1.0", "days").locator("input").fill("90")

    expect(page.locator("[data-sentence]")).to_contain_text("country 为 CN，且（")
    expect(page.locator("[data-sentence]")).to_contain_text("不满足（最近 90 天内")
    now = shop
    expected = people(parse_rule(BUILT), at(now)).count()
    assert 0 < expected < 12
    expect(page.locator("[data-count]")).to_have_text(str(expected))
    assert page.locator("#rule-people tbody tr").count() == min(expected, 10)
    expect(page.locator("#rule-people tbody tr").first).to_contain_text("country 为 CN · ")
    keep(page, "builder", language)
    page.click("button[name=_continue]")
    expect(page.locator("[data-page=segment]")).to_be_visible()
    made = Segment.objects.get(key="chinese-sleepers")
    assert made.rule == BUILT
    expect(page.locator("#segment-progress")).to_contain_text("一分钟之内")
    refresh_segment(made, now + timedelta(seconds=1))
    page.goto(f"/admin/segments/membership/?segment__id__exact={made.pk}")
    expect(page.locator("#result_list tbody tr")).to_have_count(expected)
    page.goto(f"/admin/segments/segment/{made.pk}/change/")
    expect(page.locator("[data-overlap] tbody tr").first).to_be_visible()
    expect(page.locator("[data-count]")).to_have_text(str(expected))
    keep(page, "segment-built", language)


def test_moved_wrapped_and_written_as_json_and_back(page: Page, language: str, shop: datetime) -> None:  # noqa: F811
    made = Segment.objects.create(key="three", name="Three", rule=BUILT)
    page.goto(f"/admin/segments/segment/{made.pk}/change/")
    page.focus("#rule-0_1-up")
    page.keyboard.press("Enter")
    expect(box(page, "0.0").locator("> header select")).to_have_value("any")
    expect(page.locator("#rule-0_0-down")).to_be_focused()
    page.click("#rule-0_0-wrap")
    box(page, "0.0").locator(".p-menu-list button", has_text="不满足").first.click()
    expect(box(page, "0.0")).to_have_class(re.compile("p-group--not"))
    page.click("#rule-to-json")
    expect(page.locator("#id_rule")).to_be_focused()
    text = json.loads(page.locator("#id_rule").input_value())
    assert text == {"all": [{"not": BUILT["all"][1]}, BUILT["all"][0]]}
    page.fill("#id_rule", '{"any": [')
    page.click("#rule-to-builder")
    expect(page.locator("#rule-builder .p-note-box--bad")).to_contain_text("JSON")
    page.fill("#id_rule", json.dumps({"any": [BUILT["all"][0]]}))
    page.click("#rule-to-builder")
    expect(field(page, "0.0", "value").locator("input").first).to_have_value("CN")
    expect(page.locator("[data-count]")).to_have_text("12")


def test_a_broken_rule_is_told_at_each_field(page: Page, language: str, shop: datetime) -> None:  # noqa: F811
    rule = {
        "all": [
            {"op": "event_count", "params": {"event": "page", "op": "at_least", "count": 2, "days": 30.0}},
            {"op": "trait", "params": {"trait": "plan", "op": "equals", "value": "plus"}},
            {"op": "in_segment", "params": {"segment": "vip"}},
        ]
    }
    made = Segment.objects.create(key="broken", name="Broken", rule=rule)
    page.goto(f"/admin/segments/segment/{made.pk}/change/")
    expect(page.locator("[data-count]")).to_be_visible()
    field(page, "0.0", "count").locator("input").fill("many")
    field(page, "0.0", "days").locator("input").fill("-3")
    field(page, "0.1", "value").locator("input").first.fill("")
    field(page, "0.2", "segment").locator("input").fill("nobody")
    told = {
        ("0.0", "count"): "此处需要整数。",
        ("0.0", "days"): "须大于 0。",
        ("0.1", "value"): "“等于”需要取值。",
        ("0.2", "segment"): "没有键为“nobody”的人群。",
    }
    for (place, name), said in told.items():
        expect(field(page, place, name).locator(".p-said")).to_have_text(said)
    expect(page.locator("#p-preview")).to_contain_text("有 4 处需要修正")
    expect(field(page, "0.0", "count").locator("input")).to_have_value("many")
    page.click("button[name=_save]")
    for (place, name), said in told.items():
        expect(field(page, place, name).locator(".p-said")).to_have_text(said)
    keep(page, "builder-errors", language)
    made.refresh_from_db()
    assert made.rule == rule


def test_among_many_people_an_estimate_comes_first(
    page: Page,  # noqa: F811
    language: str,
    shop: datetime,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("segments.live.FEW", 10)
    made = Segment.objects.create(key="plus", name="Plus", rule=BUILT["all"][0])
    guess = estimate(parse_rule(made.rule), now=shop)
    assert guess.people % 50 == 0
    page.route("**/exact/", lambda route: (page.wait_for_timeout(700), route.continue_()))
    page.goto(f"/admin/segments/segment/{made.pk}/change/")
    expect(page.locator("[data-count][data-exact=no]")).to_have_text(str(guess.people))
    assert page.locator("#rule-people tbody tr").count() == 0
    expect(page.locator("[data-count][data-exact=yes]")).to_have_text("12")
    assert page.locator("#rule-people tbody tr").count() == 10


def test_what_is_typed_while_the_boxes_are_redrawn_stays(page: Page, language: str, shop: datetime) -> None:  # noqa: F811
    made = Segment.objects.create(key="slow", name="Slow", rule={"all": [BUILT["all"][0]]})
    page.goto(f"/admin/segments/segment/{made.pk}/change/")
    expect(page.locator("[data-count]")).to_have_text("12")
    page.route("**/builder/", lambda route: (page.wait_for_timeout(700), route.continue_()))
    field(page, "0.0", "op").locator("select").select_option("not_equals")
    field(page, "0.0", "value").locator("input").first.fill("US")
    page.click("#rule-0-add")
    expect(page.locator("[data-sentence]")).to_have_text("country 不为 US")
    expect(field(page, "0.0", "value").locator("input").first).to_have_value("US")
    expect(box(page, "0.1")).to_have_count(0)


def test_a_cell_of_the_grid_becomes_a_segment(page: Page, language: str, shop: datetime) -> None:  # noqa: F811
    page.goto("/admin/segments/segment/scores/rfm/")
    expect(page.locator("[data-square]")).to_have_count(25)
    keep(page, "rfm", language)
    square = page.locator("[data-square='54']")
    many = int(square.locator("b").inner_text())
    square.click()
    expect(page.locator("[data-people] tbody tr")).to_have_count(many)
    page.click("[data-make]")
    expect(page.locator("[data-sentence]")).to_have_text("RFM 得分 R ≥ 5，R ≤ 5，F ≥ 4，F ≤ 4")
    expect(page.locator("[data-count]")).to_have_text(str(many))
    page.goto("/admin/segments/segment/scores/rfm/")
    line = page.locator("[data-cell=champions]")
    many = int(line.locator(".p-num").inner_text())
    line.locator("[data-make]").click()
    expect(page.locator("#id_name")).to_have_value("RFM: Champions")
    expect(page.locator("#id_name_zh")).to_have_value("RFM: 冠军客户")
    expect(page.locator("[data-count]")).to_have_text(str(many))
    page.click("button[name=_save]")
    expect(page.locator("#result_list")).to_contain_text("RFM: 冠军客户")
    made = Segment.objects.get(key="cell-champions")
    assert made.rule == {"op": "rfm_cell", "params": {"cells": ["champions"]}}
    refresh_segment(made, shop + timedelta(seconds=1))
    made.refresh_from_db()
    assert made.size == many > 0
    page.goto("/admin/segments/segment/scores/stages/")
    expect(page.locator("[data-flow-table] tbody tr")).to_have_count(7)
    keep(page, "stages", language)
