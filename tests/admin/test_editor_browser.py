"""A template from the first word to the mailbox, in a real browser: written in two languages, mended by what lint says,
seen as a person, sent as a test, read in the local mailbox, published by somebody else.

With PERENNIAL_SHOTS set to a folder, the pages are kept there as pictures.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import FrameLocator, Page, expect, sync_playwright

from config.demo import mailbox
from messaging.models import Account, BannedWord, Block, Click, Delivery, Link, Template, TemplateVersion
from segments.models import EventProperty, Profile
from tests.admin.seed import make_shop
from tests.harness import wait_until

CHROMIUM = shutil.which("chromium")
SHOTS = os.environ.get("PERENNIAL_SHOTS", "")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="the distribution's Chromium is not installed"),
]

MJML = """<mjml>
  <mj-body background-color="#f3f5f4">
    <mj-section background-color="#ffffff" border-radius="12px">
      <mj-column>
        <mj-image src="https://shop.example.com/tea.png" {alt}width="120px" />
        <mj-text font-size="24px" font-weight="700">{heading}</mj-text>
        <mj-text font-size="16px">{body}</mj-text>
        <mj-button background-color="#2f6b4f" href="{url}">{button}</mj-button>
        {leave}
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>"""
ENGLISH = {
    "heading": "Hello {{ profile | name('there') }}", "body": "Your tea is {{ event.total | money }} today.",
    "button": "See it", "url": "https://shop.example.com/tea?a=1",
}  # fmt: skip
CHINESE = {
    "heading": "您好 {{ profile | name('您好') }}", "body": "今天的茶 {{ event.total | money('CNY') }}。",
    "button": "去看看", "url": "https://shop.example.com/tea?a=1",
}  # fmt: skip
LEAVE = "{{ blocks.leave }}"
ALT = 'alt="A cup of tea" '


@pytest.fixture
def shop(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Fill the database that the live server reads."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    now = datetime.now(UTC)
    make_shop(now, people=12)
    leave = '<mj-text font-size="12px"><a href="{{{{ links.unsubscribe }}}}">{}</a> · {{{{ brand.address }}}}</mj-text>'
    content = {"en": {"mjml": leave.format("Unsubscribe")}, "zh-Hans": {"mjml": leave.format("退订")}}
    Block.objects.create(key="leave", name="Way out", name_zh="退订", content=content)
    EventProperty.objects.create(event="Order", key="total", type="number", first_seen_at=now, last_seen_at=now)
    BannedWord.objects.create(word="最便宜", locale="zh", instead="实惠")
    return now


@pytest.fixture
def letters(shop: datetime, settings: Any, tmp_path: Path) -> Generator[Path]:
    """The local mailbox: a mail server that keeps every mail in a folder, whose pages are mounted; and our account."""
    settings.VAR, settings.ROOT_URLCONF, settings.BRAND_ADDRESS = tmp_path, "tests.admin.mailbox_urls", "1 Garden Road"
    folder = tmp_path / "mailbox"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    post = Controller(mailbox.Keeper(folder), hostname="127.0.0.1", port=port)
    post.start()
    Account.objects.filter(key="smtp").update(settings={"host": "127.0.0.1", "port": port})
    yield folder
    post.stop()


@pytest.fixture(params=["en-US", "zh-CN"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_as(letters: Path, live_server: Any, language: str) -> Generator[Any]:
    """Return a function that logs somebody in and gives their page; what a page logs as an error fails the test."""
    errors: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def enter(name: str) -> Page:
            context = browser.new_context(
                locale=language, viewport={"width": 1440, "height": 1000}, base_url=live_server.url
            )
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
            page.goto("/admin/")
            page.fill("#id_username", name)
            page.fill("#id_password", "perennial")
            page.click("button[type=submit]")
            page.wait_for_selector("[data-page=dashboard]")
            return page

        yield enter
        browser.close()
    assert errors == []


def keep(page: Page, name: str, language: str, *, height: int = 1000) -> None:
    """Keep a picture, if pictures are asked for."""
    if not SHOTS:
        return
    page.set_viewport_size({"width": 1440, "height": height})
    page.wait_for_timeout(900)
    page.screenshot(path=str(Path(SHOTS) / f"{name}{'-zh' if language.startswith('zh') else ''}.png"))
    page.set_viewport_size({"width": 1440, "height": 1000})


def counts(page: Page, said: str) -> None:
    """Lint says so many errors and warnings."""
    expect(page.locator("#p-lint [data-counts]")).to_have_attribute("data-counts", said, timeout=15_000)


def panes(page: Page) -> tuple[FrameLocator, FrameLocator]:
    shown = page.frame_locator("iframe.p-preview")
    return shown.frame_locator("[data-pane=wide]"), shown.frame_locator("[data-pane=narrow]")


def box(page: Page, locale: str, part: str) -> Any:
    return page.locator(f"[name='content:{locale}:{part}']")


def choose_topic(page: Page) -> None:
    """Pick the first topic, as a hand on the list would (the theme dresses the list)."""
    page.evaluate(
        """() => { const box = document.querySelector('#id_topic');
        box.value = [...box.options].find((one) => one.value).value;
        box.dispatchEvent(new Event('change', { bubbles: true })); }"""
    )


def write_two_languages(page: Page) -> None:
    """The first draft: what lint will find is in it."""
    page.goto("/admin/messaging/template/add/")
    page.locator("#id_name").press_sequentially("Tea of the day")
    expect(page.locator("#id_key")).to_have_value("tea-of-the-day")
    choose_topic(page)
    page.fill("#id_sample", '{"event": {"total": 1250}}')
    box(page, "en", "subject").fill("Tea today, {{ profile.first_nam }}")
    bad = {**ENGLISH, "url": "shop.example.com/tea"}
    box(page, "en", "mjml").fill(MJML.format(alt="", leave="", **bad))
    page.click("[data-tab='p-tab-zh-Hans']")
    box(page, "zh-Hans", "subject").fill("今日最便宜的茶")
    box(page, "zh-Hans", "mjml").fill(MJML.format(alt=ALT, leave=LEAVE, **CHINESE))


def mend(page: Page) -> None:
    """What lint says is mended, box by box."""
    box(page, "en", "subject").fill("Tea today, {{ profile.first_name | default('friend', true) }}")
    box(page, "en", "mjml").fill(MJML.format(alt=ALT, leave=LEAVE, **ENGLISH))
    page.click("[data-tab='p-tab-zh-Hans']")
    box(page, "zh-Hans", "subject").fill("今日实惠的茶")


def test_a_template_from_the_first_word_to_the_mailbox(open_as: Any, letters: Path, language: str) -> None:
    before = (Delivery.objects.count(), Link.objects.count(), Click.objects.count())
    page = open_as("root")
    write_two_languages(page)
    counts(page, "4 2")  # no way out, a variable nobody has, half an address, a banned word; no sender, no alt text
    expect(page.locator("#lint-zh-Hans-subject")).to_contain_text("最便宜")
    page.locator("[data-goto='id_content:en:mjml'][data-line='8']").click()
    assert page.evaluate("document.activeElement.name") == "content:en:mjml"
    chosen = "() => { const b = document.activeElement; return b.value.slice(b.selectionStart, b.selectionEnd); }"
    assert "shop.example.com/tea" in page.evaluate(chosen)
    keep(page, "editor-lint", language, height=2400)

    mend(page)
    counts(page, "0 0")
    page.click("[name=_continue]")
    wait_until(lambda: Template.objects.filter(key="tea-of-the-day").exists(), what="the draft is saved")
    template = Template.objects.get(key="tea-of-the-day")
    expect(page.locator("[data-page=template]")).to_be_visible()

    seen_as_a_person(page, language)
    sent_as_a_test(page, letters, language)
    assert (Delivery.objects.count(), Link.objects.count(), Click.objects.count()) == before

    page.goto(f"/admin/messaging/template/{template.pk}/change/")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click(f"form[action$='/{template.pk}/publish/'] button")
    wait_until(lambda: TemplateVersion.objects.filter(template=template).exists(), what="it is published")
    assert sorted(TemplateVersion.objects.get(template=template).blocks) == ["leave"]
    changed_and_compared(page, template, language)


def seen_as_a_person(page: Page, language: str) -> None:
    """Both widths, as a person of each language and with other variables laid over."""
    wide, narrow = panes(page)
    person = Profile.objects.get(email="ada.reyes2@example.com")
    page.fill("#p-preview-form [name=person]", person.email)
    page.locator("#p-preview-form .p-more summary").click()
    page.fill("#p-preview-form [name=json]", '{"event": {"total": 4200}}')
    page.click("#p-preview-form .p-button--main")
    for pane in (wide, narrow):
        expect(pane.locator("body")).to_contain_text("Hello Ada Reyes")
        expect(pane.locator("body")).to_contain_text("Your tea is $42.00 today.")
    expect(page.frame_locator("iframe.p-preview").locator("[data-subject]")).to_have_text("Tea today, Ada")
    box(page, "en", "subject").fill("Not saved yet")
    page.click("#p-preview-form .p-button--main")
    expect(page.frame_locator("iframe.p-preview").locator("[data-subject]")).to_have_text("Not saved yet")
    page.fill("#p-preview-form [name=person]", "mei.lin0@example.com")
    page.select_option("#p-preview-form [name=locale]", "")
    page.click("#p-preview-form .p-button--main")
    expect(narrow.locator("body")).to_contain_text("您好 Lin Mei")
    expect(narrow.locator("body")).to_contain_text("今天的茶 ¥42.00。")
    page.locator("iframe.p-preview").scroll_into_view_if_needed()
    keep(page, "editor-preview", language)


def sent_as_a_test(page: Page, letters: Path, language: str) -> None:
    """The saved draft, to one address, and what stands in the mailbox."""
    form = page.locator("form[action$='/test/']")
    form.locator("[name=to]").fill("colleague@example.com")
    form.locator("[name=person]").fill("mei.lin0@example.com")
    form.locator("[name=locale]").select_option("zh-Hans")
    page.on("dialog", lambda dialog: dialog.accept())  # what is not saved may go
    form.locator("button").click()
    wait_until(lambda: mailbox.ids(letters), what="the test is in the mailbox")
    (letter,) = mailbox.ids(letters)
    message = mailbox.read(letters, letter)
    assert message["To"] == "colleague@example.com"
    assert str(message["Subject"]) in ("[Test] 今日实惠的茶", "[测试] 今日实惠的茶")
    html = mailbox.part(message, "html")
    assert "https://shop.example.com/tea?a=1" in html
    assert not re.search(r"/[couv]/[A-Za-z0-9_-]{20}", html)  # no tracked link, no pixel, no token of anybody
    assert "您好 Lin Mei" in mailbox.part(message, "plain")
    page.goto("/mailbox/")
    page.get_by_text("今日实惠的茶").first.click()
    expect(page.frame_locator("iframe").locator("body")).to_contain_text("今天的茶 ¥12.50。")
    keep(page, "editor-mailbox", language)


def changed_and_compared(page: Page, template: Template, language: str) -> None:
    """Another draft beside what was published, and the way back."""
    page.goto(f"/admin/messaging/template/{template.pk}/change/")
    box(page, "en", "subject").fill("Coffee today, {{ profile.first_name | default('friend', true) }}")
    page.click("[name=_continue]")
    wait_until(lambda: Template.objects.get(pk=template.pk).revision == 1, what="the second draft is saved")
    page.goto(f"/admin/messaging/template/{template.pk}/versions/")
    change = page.locator("[data-change='en:subject']")
    expect(change.locator("del")).to_have_text("Tea")
    expect(change.locator("ins")).to_have_text("Coffee")
    keep(page, "editor-versions", language)
    page.click("form[action$='/restore/'] button")
    wait_until(lambda: Template.objects.get(pk=template.pk).revision == 2, what="the old words are the draft again")
    assert Template.objects.get(pk=template.pk).content["en"]["subject"].startswith("Tea today")


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_two_who_write_at_once(open_as: Any, language: str) -> None:
    template = Template.objects.get(key="vip-perk")
    first, second = open_as("author"), open_as("admin")
    for page in (first, second):
        page.goto(f"/admin/messaging/template/{template.pk}/change/")
    locale = next(iter(template.content))
    for page, said in ((first, "What the first wrote"), (second, "What the second wrote")):
        box(page, locale, "subject").fill(said)
        page.click("[name=_continue]")
    expect(second.locator("[data-page=conflict]")).to_be_visible()
    expect(second.get_by_text(re.compile(r"author saved this at \d\d:\d\d while you were writing"))).to_be_visible()
    assert box(second, locale, "subject").input_value() == "What the second wrote"
    keep(second, "editor-conflict", language)
    assert Template.objects.get(pk=template.pk).content[locale]["subject"] == "What the first wrote"
    second.click("[name=_continue]")
    wait_until(
        lambda: Template.objects.get(pk=template.pk).content[locale]["subject"] == "What the second wrote",
        what="the second saves over it knowingly",
    )


@pytest.mark.parametrize("language", ["zh-CN"], indirect=True)
def test_a_block_says_what_its_change_would_change(open_as: Any, language: str) -> None:
    page, block = open_as("author"), Block.objects.get(key="leave")
    page.goto(f"/admin/messaging/block/{block.pk}/change/")
    expect(page.locator("#p-uses")).to_contain_text("还没有模板使用此模块")
    template = Template.objects.get(key="vip-perk")
    content = {
        name: {"subject": "x", "mjml": MJML.format(alt=ALT, leave=LEAVE, **ENGLISH)} for name in template.content
    }
    Template.objects.filter(pk=template.pk).update(content=content)
    page.reload()
    expect(page.locator("#p-uses table")).to_contain_text(template.name_zh)
    keep(page, "editor-block", language)


@pytest.mark.parametrize("language", ["en-US"], indirect=True)
def test_who_may_only_look_sees_lint_and_preview(open_as: Any, language: str) -> None:
    page, template = open_as("approver"), Template.objects.get(key="new-user-welcome")
    page.goto(f"/admin/messaging/template/{template.pk}/change/")
    expect(page.locator("#p-lint [data-counts]")).to_be_visible()
    page.fill("#p-preview-form [name=person]", "ada.reyes2@example.com")
    page.click("#p-preview-form .p-button--main")
    expect(page.frame_locator("iframe.p-preview").locator("[data-subject]")).to_contain_text("Ada")
    assert page.locator("[name^='content:']").count() == 0
    keep(page, "editor-approver", language, height=1700)
