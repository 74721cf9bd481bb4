"""The starter messages: whole in both languages, light and dark, wide and narrow, and readable without a picture."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, sync_playwright

from common.models import AuditEntry
from messaging.models import Template, Topic
from messaging.publish import preview_template, publish_template
from messaging.starters import compose, draft_of_starter, install_starter, read_starter, starter_keys, themes, unsaved
from tests.people import NOW

CLIPPED = 102 * 1024  # octets from which Gmail shows only a part
READABLE = 4.5  # contrast of text, WCAG 2.2 success criterion 1.4.3
CHROMIUM = shutil.which("chromium")
BROUGHT = {
    "new-user-welcome", "new-user-guide", "cart-reminder", "browse-reminder", "replenishment", "winback-offer", "vip-perk",
    "birthday", "nps-survey", "order-receipt", "confirm-subscription", "sunset-last-call", "weekly-digest",
}  # fmt: skip
each = pytest.mark.parametrize("key", starter_keys())
both = pytest.mark.parametrize("locale", ["en", "zh-hans"])


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def words_of(value: Any) -> Iterator[str]:
    """Every text below a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from words_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from words_of(one)


def shape(value: Any) -> Any:
    """A value without its words: which parts there are, and how many of each."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items() if one}
    return [shape(one) for one in value] if isinstance(value, list) else bool(value)


def test_the_gallery_holds_what_an_operator_looks_for() -> None:
    assert set(starter_keys()) >= BROUGHT
    assert {read_starter(key)["klass"] for key in starter_keys()} == {"marketing", "lifecycle", "transactional"}


@each
def test_a_starter_is_whole_in_both_languages(key: str) -> None:
    data = read_starter(key)
    english, chinese = data["variants"]["en"], data["variants"]["zh-hans"]
    assert shape(english) == shape(chinese)
    assert all(data[name] and data[f"{name}_zh"] for name in ("name", "about"))
    for words, own in ((english, False), (chinese, True)):
        for name in ("subject", "preheader", "kicker", "heading", "paragraphs"):
            said = " ".join(words_of(words[name]))
            assert bool(re.search("[\u4e00-\u9fff]", said)) is own, (name, said)
    assert english["subject"] != english["preheader"]


@each
@both
def test_a_starter_lets_its_reader_leave_unless_it_is_transactional(key: str, locale: str) -> None:
    data = read_starter(key)
    source = compose(data, locale)["mjml"]
    assert ("links.unsubscribe" in source) == (data["klass"] != "transactional")
    assert "links.view" in source
    assert "$" not in source
    assert bool(data["topic"]) == (data["klass"] != "transactional")


@each
@both
@pytest.mark.django_db
def test_a_starter_reads_well_as_html_and_as_text(key: str, locale: str) -> None:
    page = preview_template(unsaved(key), locale=locale)
    html, text = page.parts["html"], page.parts["text"]
    words = read_starter(key)["variants"][locale]
    assert len(html.encode()) < CLIPPED / 4
    tree = BeautifulSoup(html, "html.parser")
    assert [tag["content"] for tag in tree.select('meta[name="color-scheme"]')] == ["light dark"]
    assert "prefers-color-scheme: dark" in "".join(map(str, tree.select("style")))
    assert tree.html["lang"] == locale  # type: ignore[index]
    assert len(tree.select("h1")) == 1
    assert all(image["alt"] for image in tree.select("img") if image["width"] != "1")  # one is the open pixel
    assert not re.search(r"color:\s*#000", html)
    hidden = tree.select_one('div[style*="display:none"]')
    assert hidden is not None
    assert hidden.get_text(strip=True) == BeautifulSoup(words["preheader"], "html.parser").get_text()
    assert "{{" not in html + text
    assert tree.select_one("h1").get_text(strip=True) in text  # type: ignore[union-attr]
    if words.get("button"):
        assert f"[{words['button']['text']}](http" in text
    assert not re.search("[\u200b\u00a0]", text)
    assert "\n\n\n" not in text


@pytest.mark.django_db
def test_a_list_in_a_starter_is_bounded_and_bears_an_empty_cart() -> None:
    template = unsaved("cart-reminder")
    template.sample = {"event": {"properties": {"products": [{"name": f"Thing {n}"} for n in range(9)]}}}
    text = preview_template(template, locale="en").parts["text"]
    assert re.findall(r"Thing \d", text) == ["Thing 0", "Thing 1", "Thing 2", "Thing 3"]
    template.sample = {"event": {"properties": {}}}
    assert "Go back to my cart" in preview_template(template, locale="en").parts["text"]
    template.sample = {
        "event": {"properties": {"products": [{"name": "Fern", "image_url": "https://x.example/f.png"}]}}
    }
    image, _pixel = BeautifulSoup(preview_template(template, locale="en").parts["html"], "html.parser").select("img")
    assert (image["alt"], image["src"]) == ("Fern", "https://x.example/f.png")


@pytest.mark.parametrize("name", sorted(themes()))
def test_a_theme_is_readable_by_day_and_by_night(name: str) -> None:
    theme, card, dark = themes()[name], "#ffffff", "#1b221e"
    pairs = [
        ("hero_ink", theme["hero"]), ("hero_ink", theme["hero_end"]), ("hero_dim", theme["hero"]),
        ("hero_dim", theme["hero_end"]), ("accent", card), ("accent", theme["page"]), ("accent_ink", theme["accent"]),
        ("tint_ink", theme["tint"]), ("dark_accent", dark), ("dark_accent_ink", theme["dark_accent"]),
        ("dark_tint_ink", theme["dark_tint"]),
    ]  # fmt: skip
    low = {(ink, ground): round(contrast(theme[ink], ground), 2) for ink, ground in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < READABLE} == {}
    assert contrast("#5f6a65", theme["page"]) >= READABLE


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.django_db
def test_a_draft_of_a_starter_takes_the_next_free_key_and_publishes(now: datetime) -> None:
    first = draft_of_starter("sunset-last-call", now=now, by=None)
    second = draft_of_starter("sunset-last-call", now=now, by=None)
    assert (first.key, second.key) == ("sunset-last-call", "sunset-last-call-2")
    assert (first.topic.key, first.topic.purpose, first.topic.opt_in) == ("news", "marketing", True)  # type: ignore[union-attr]
    assert publish_template(second, now=now).number == 1
    said = AuditEntry.objects.filter(action="template.from_starter").order_by("pk")
    assert [(row.subject, row.detail) for row in said] == [
        ("template:sunset-last-call", {"starter": "sunset-last-call"}),
        ("template:sunset-last-call-2", {"starter": "sunset-last-call"}),
    ]
    assert install_starter("sunset-last-call") == (first, False)
    with pytest.raises(FileNotFoundError):
        draft_of_starter("../settings", now=now, by=None)


@each
@pytest.mark.django_db
def test_a_starter_needs_nothing_that_is_not_there(key: str) -> None:
    assert not Topic.objects.exists()
    template, made = install_starter(key)
    assert made
    assert publish_template(template, now=NOW).klass == read_starter(key)["klass"]
    assert Template.objects.count() == 1


MEASURE = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const lum = c => { const f = c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                     return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const ground = node => { for (let at = node; at; at = at.parentElement) {
      const c = rgb(getComputedStyle(at).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const low = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, node = text.parentElement, style = getComputedStyle(node);
    if (!text.nodeValue.trim() || !node.getClientRects().length) continue;
    const a = lum(rgb(style.color)), b = lum(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push([text.nodeValue.trim().slice(0, 40), Math.round(ratio * 100) / 100]);
  }
  const small = [...document.querySelectorAll('a.score, .cta a')].filter(a => a.getBoundingClientRect().height < 36);
  return { low, wide: document.documentElement.scrollWidth - innerWidth, small: small.length };
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="the distribution's Chromium is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [600, 375])
def test_a_browser_shows_every_starter_whole_and_readable(
    transactional_db: None, chromium: Browser, monkeypatch: pytest.MonkeyPatch, scheme: Any, width: int
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    wrong, seen = {}, 0
    for key in starter_keys():
        for locale in ("en", "zh-hans"):
            page.set_content(preview_template(unsaved(key), locale=locale).parts["html"])
            found = page.evaluate(MEASURE)
            seen += 1
            if found != {"low": [], "wide": 0, "small": 0}:
                wrong[f"{key} {locale}"] = found
    page.close()
    assert wrong == {}
    assert seen == 2 * len(starter_keys())
