"""The editor of templates over HTTP: lint, preview, test, publish, versions, and two who write at once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from common.models import AuditEntry
from messaging.models import BannedWord, Block, Delivery, Template, TemplateVersion, Topic
from messaging.publish import publish_template
from messaging.render.cell.filters import FILTERS as REGISTERED
from messaging.render.reference import ALIASES, FILTERS
from segments.models import Profile
from tests.people import NOW

LEAVE = '<a href="{{ links.unsubscribe }}">Leave</a>'


@pytest.fixture
def row(shop: Any, db: None) -> Template:
    """A template of its own for each test."""
    topic = Topic.objects.get(key="offers")
    html = f"<html><body><p>Hello {{{{ profile.first_name }}}}</p>{LEAVE}</body></html>"
    content = {"en": {"subject": "Hello {{ profile.first_name }}", "html": html}}
    return Template.objects.create(key="mine", name="Mine", topic=topic, content=content)


def where(name: str, *args: Any) -> str:
    return reverse(f"admin:messaging_{name}", args=args)


def typed(row: Template, **boxes: str) -> dict[str, Any]:
    """The form as the browser sends it; boxes as locale__part."""
    content = {f"content:{loc}:{part}": text for loc, parts in row.content.items() for part, text in parts.items()}
    content |= {f"content:{name.replace('__', ':').replace('_', '-')}": text for name, text in boxes.items()}
    return {
        "name": row.name, "key": row.key, "channel": row.channel, "klass": row.klass, "topic": row.topic_id,
        "sample": "{}", "revision": row.revision, **content,
    }  # fmt: skip


def page(answer: Any) -> BeautifulSoup:
    return BeautifulSoup(answer.content, "html.parser")


def text(answer: Any) -> str:
    return page(answer).get_text(" ", strip=True)


def frame(answer: Any) -> tuple[str, str]:
    """What the preview says in its own page, and the message inside it."""
    inside = page(answer)
    found = inside.select("iframe[srcdoc]")
    return inside.get_text(" ", strip=True), str(found[0]["srcdoc"]) if found else ""


# lint


def test_findings_stand_in_the_list_and_at_their_boxes(row: Template, login: Any) -> None:
    given = typed(
        row, en__html=f"<html><body>\n{{{{ nobody }}}}{LEAVE}</body></html>", zh_Hans__subject="您好", zh_Hans__html=""
    )
    answer = page(login("author").post(where("template_lint"), given))
    assert answer.select_one("[data-counts]")["data-counts"].split()[0] == "2"  # type: ignore[index,union-attr]
    box = answer.select_one("#lint-en-html[hx-swap-oob]")
    assert "there is no variable 'nobody'" in box.get_text(" ", strip=True)  # type: ignore[union-attr]
    assert box.select_one("b").get_text() == "line 2"  # type: ignore[union-attr]
    assert answer.select_one("#lint-en-subject").get_text(strip=True) == ""  # type: ignore[union-attr]
    link = answer.select_one("[data-goto='id_content:en:html']")
    assert link["data-line"] == "2"  # type: ignore[index]
    assert answer.select_one("#lint-tab-zh-Hans .p-dot--error")


def test_lint_speaks_the_operators_language_and_stores_nothing(row: Template, login: Any) -> None:
    before = Template.objects.count()
    told = text(login("author", "zh-hans").post(where("template_lint"), typed(row, en__html="<script></script>")))
    assert "不允许 <script>" in told
    assert "没有退订链接" in told
    assert Template.objects.count() == before


def test_the_form_of_a_new_template_is_judged_too(shop: Any, login: Any) -> None:
    told = text(login("author").post(where("template_lint"), {"channel": "email", "klass": "marketing"}))
    assert "has no words in any language" in told
    assert login("author").get(where("template_add")).status_code == 200


def test_who_approves_sees_the_findings_of_the_saved_draft(row: Template, login: Any) -> None:
    told = text(login("approver").get(where("template_findings", row.pk)))
    assert "there is no zh-Hans version" in told
    assert login("approver").post(where("template_lint"), typed(row)).status_code == 403


# preview


def test_the_text_on_the_screen_is_shown_wide_and_narrow_for_any_person(row: Template, login: Any) -> None:
    given = typed(
        row,
        en__html=f"<html><body>Dear {{{{ profile.first_name }}}} {{{{ event.total | money }}}}{LEAVE}</body></html>",
    )
    given |= {"person": "u-1001", "locale": "en", "json": '{"event": {"total": 4200}}'}
    answer = login("author").post(where("template_try_out"), given)
    heads, message = frame(answer)
    assert "Hello Bo" in heads
    assert "Dear Bo $42.00" in message
    assert [one["data-pane"] for one in page(answer).select("iframe[sandbox]")] == ["wide", "narrow"]
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "no-store" in answer["Cache-Control"]
    assert Template.objects.get(pk=row.pk).content == row.content


def test_a_person_by_chance_and_by_every_name(row: Template, login: Any) -> None:
    client, mei = login("viewer"), Profile.objects.get(email="mei.lin0@example.com")
    for name in (mei.email, "u-1000", str(mei.public_id), "anon-0"):
        assert "Hello Mei" in frame(client.get(where("template_frame", row.pk), {"person": name, "locale": "en"}))[0]
    names = {frame(client.get(where("template_frame", row.pk), {"random": "1", "locale": "en"}))[0] for _ in range(20)}
    assert len(names) > 1
    assert "known as “nobody”" in frame(client.get(where("template_frame", row.pk), {"person": "nobody"}))[0]


@pytest.mark.parametrize("given", ["[1]", "{", "[" * 5000, '"x"'])
def test_variables_that_are_no_object_are_told(row: Template, login: Any, given: str) -> None:
    told, message = frame(login("viewer").get(where("template_frame", row.pk), {"json": given}))
    assert "must be one JSON object" in told
    assert message == ""


def test_without_the_right_to_see_people_a_draft_is_tried_with_sample_data(row: Template, login: Any) -> None:
    user = User.objects.create(username="narrow", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_template"))
    client = Client()
    client.force_login(user)
    for asked in ({"person": "u-1000"}, {"random": "1"}):
        told, message = frame(client.get(where("template_frame", row.pk), asked))
        assert "sample data only" in told
        assert message == ""
    assert "Hello Mei" in frame(client.get(where("template_frame", row.pk), {"locale": "en"}))[0]


# test and publish


def test_a_test_is_not_sent_as_nobody(row: Template, login: Any) -> None:
    given = {"to": "me@example.com", "person": "nobody-here", "locale": "en"}
    answer = login("sender").post(where("template_test", row.pk), given, follow=True)
    assert "known as “nobody-here”" in text(answer)
    assert not AuditEntry.objects.filter(action="template.test", subject="template:mine").exists()


def test_publishing_asks_about_warnings_and_takes_yes_for_these_alone(row: Template, login: Any) -> None:
    client = login("approver")
    answer = client.post(where("template_publish", row.pk))
    assert "there is no zh-Hans version" in text(answer)
    asked = [str(one["value"]) for one in page(answer).select("input[name=confirmed]")]
    assert asked
    assert not row.versions.exists()
    Template.objects.filter(pk=row.pk).update(
        content={
            "en": row.content["en"] | {"html": f"<html><body><img src='https://a.example/x.png'>{LEAVE}</body></html>"}
        }
    )
    again = client.post(where("template_publish", row.pk), {"confirmed": asked})
    assert "an image has no alt text" in text(again)
    asked = [str(one["value"]) for one in page(again).select("input[name=confirmed]")]
    done = client.post(where("template_publish", row.pk), {"confirmed": asked}, follow=True)
    assert "Published as version 1" in text(done)
    entry = AuditEntry.objects.filter(action="template.published").latest("pk")
    assert entry.detail["warnings"] == len(asked)


def test_an_error_cannot_be_confirmed(row: Template, login: Any) -> None:
    BannedWord.objects.create(word="Hello")
    answer = login("approver").post(where("template_publish", row.pk), {"confirmed": ["x"]}, follow=True)
    assert "'Hello' is a banned word" in text(answer)
    assert not row.versions.exists()


# two at once


def test_the_second_of_two_editors_is_told_who_and_what_and_loses_nothing(row: Template, login: Any) -> None:
    change, first, second = where("template_change", row.pk), login("author"), login("admin")
    seen = typed(row)
    assert first.post(change, seen | {"content:en:subject": "First one's"}).status_code == 302
    answer = second.post(change, seen | {"content:en:subject": "Second one's"})
    assert answer.status_code == 200
    told = text(answer)
    assert re.search(r"author saved this at \d\d:\d\d while you were writing", told)
    shown = page(answer)
    assert shown.select_one("[data-change='en:subject'] td.p-diff-old").get_text() == "First one's"  # type: ignore[union-attr]
    assert shown.select_one("[name='content:en:subject']")["value"] == "Second one's"  # type: ignore[index]
    assert Template.objects.get(pk=row.pk).content["en"]["subject"] == "First one's"
    fields = {str(one["name"]): str(one["value"]) for one in shown.select("input[type=hidden][name]")}
    once_more = seen | {"content:en:subject": "Both", "revision": fields["revision"], "overwrite": fields["overwrite"]}
    assert second.post(change, once_more).status_code == 302
    saved = Template.objects.get(pk=row.pk)
    assert (saved.content["en"]["subject"], saved.revision) == ("Both", 2)
    assert second.post(change, once_more).status_code == 200


def test_a_form_without_its_revision_is_not_saved(row: Template, login: Any) -> None:
    given = typed(row, en__subject="Blind")
    del given["revision"]
    assert login("author").post(where("template_change", row.pk), given).status_code == 200
    assert Template.objects.get(pk=row.pk).content == row.content


# versions


def test_versions_are_compared_and_an_old_one_restored(row: Template, login: Any) -> None:
    root = User.objects.get(username="root")
    publish_template(row, now=NOW, by=root)
    row.content["en"]["subject"] = "Goodbye {{ profile.first_name }}"
    row.save()
    client = login("author")
    shown = page(client.get(where("template_versions", row.pk)))
    change = shown.select_one("[data-change='en:subject']")
    assert change.select_one("del").get_text() == "Hello"  # type: ignore[union-attr]
    assert change.select_one("ins").get_text() == "Goodbye"  # type: ignore[union-attr]
    assert "root" in shown.get_text()
    same = client.get(where("template_versions", row.pk), {"left": "1", "right": "1"})
    assert "Both say the same" in text(same)
    stale = client.post(where("template_restore", row.pk), {"number": "1", "revision": "9"}, follow=True)
    assert "Somebody saved this template meanwhile" in text(stale)
    done = client.post(where("template_restore", row.pk), {"number": "1", "revision": "0"}, follow=True)
    assert "The draft says what version 1 said" in text(done)
    assert Template.objects.get(pk=row.pk).content["en"]["subject"] == "Hello {{ profile.first_name }}"
    assert client.post(where("template_restore", row.pk), {"number": "7", "revision": "0"}).status_code == 404
    assert login("approver").post(where("template_restore", row.pk), {"number": "1"}).status_code == 403


def test_every_save_is_listed_compared_and_restored(row: Template, login: Any) -> None:
    client, change, history = login("author"), where("template_change", row.pk), where("template_versions", row.pk)
    assert client.post(change, typed(row, en__subject="Second thoughts")).status_code == 302
    row.refresh_from_db()
    assert client.post(change, typed(row, en__subject="Third time")).status_code == 302
    shown = page(client.get(history, {"left": "s1", "right": "draft"}))
    saves = [line.get_text(" ", strip=True) for line in shown.select("[data-saves] tbody tr")]
    assert [line.split()[0] for line in saves] == ["2", "1", "0"]
    assert "author" in saves[0]
    change_ = shown.select_one("[data-change='en:subject']")
    assert change_ is not None
    assert ("Second thoughts" in change_.get_text(), "Third time" in change_.get_text()) == (True, True)
    done = client.post(where("template_restore", row.pk), {"save": "1", "revision": "2"}, follow=True)
    assert "The draft says what it said at save 1" in text(done)
    assert Template.objects.get(pk=row.pk).content["en"]["subject"] == "Second thoughts"
    assert "save 1 was restored" in text(client.get(history))
    assert client.post(where("template_restore", row.pk), {"save": "99", "revision": "3"}).status_code == 404
    assert login("viewer").post(where("template_restore", row.pk), {"save": "1", "revision": "3"}).status_code == 403


def test_without_versions_the_page_says_so(row: Template, login: Any) -> None:
    assert "No version yet" in text(login("viewer").get(where("template_versions", row.pk)))
    old = TemplateVersion.objects.create(
        template=row, number=1, channel="email", klass="marketing", content={}, digest="", published_at=NOW
    )
    assert old.draft == {}
    assert "from before drafts were kept" in text(login("viewer").get(where("template_versions", row.pk)))


# blocks


def test_a_block_tells_where_it_is_used_and_what_a_change_would_change(row: Template, login: Any) -> None:
    block = Block.objects.create(key="footer", name="Footer", content={"en": {"html": LEAVE}})
    client = login("author")
    assert "No template uses this block yet" in text(client.get(where("block_uses", block.pk)))
    row.content["en"]["html"] = "<html><body>{{ blocks.footer }}</body></html>"
    row.save()
    publish_template(row, now=NOW)
    assert "Mine" in text(client.get(where("block_uses", block.pk)))
    same = page(client.post(where("block_reach", block.pk), {"content:en:html": LEAVE}))
    assert same.select_one("[data-stale]") is None
    other = page(client.post(where("block_reach", block.pk), {"content:en:html": f"{LEAVE}!"}))
    assert other.select_one("[data-stale]")["data-stale"] == "1"  # type: ignore[index]
    assert Block.objects.get(pk=block.pk).content == {"en": {"html": LEAVE}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"key": "foot-er"}, "Small letters, digits and _ only"),
        ({"content:en:html": "{{ 'a' | safe }}"}, "there is no filter 'safe'"),
        ({"kind": "layout"}, "a layout says {{ content }} where the words go"),
    ],
)
def test_a_block_that_cannot_be_used_is_told_at_save(shop: Any, login: Any, fields: dict[str, str], said: str) -> None:
    given = {"name": "Footer", "key": "footer2", "kind": "block", "content:en:html": "<p>x</p>"} | fields
    answer = login("author").post(where("block_add"), given)
    assert said in text(answer)
    assert not Block.objects.filter(name="Footer", key__startswith="foot").exclude(key="footer").exists()


def test_a_block_is_saved_by_one_at_a_time(shop: Any, login: Any) -> None:
    client = login("author")
    given = {"name": "Sign-off", "key": "sign_off", "kind": "block", "content:en:text": "Bye"}
    assert client.post(where("block_add"), given).status_code == 302
    block = Block.objects.get(key="sign_off")
    change = given | {"content:en:text": "Bye now", "revision": "0"}
    assert client.post(where("block_change", block.pk), change).status_code == 302
    assert "while you were writing" in text(client.post(where("block_change", block.pk), change))
    assert Block.objects.get(pk=block.pk).revision == 1


# help


def test_every_filter_has_its_sentence_in_the_editor(row: Template, login: Any) -> None:
    known = {entry.written.partition("(")[0] for entry in FILTERS} | set(ALIASES)
    assert known == set(REGISTERED)
    told = text(login("author", "zh-hans").get(where("template_change", row.pk)))
    assert "按读者语言的姓名顺序" in told
    assert "profile.plan" in told


def test_nothing_here_reaches_the_ledger(row: Template, login: Any) -> None:
    before = Delivery.objects.count()
    client = login("root")
    client.get(where("template_frame", row.pk), {"random": "1"})
    client.post(where("template_try_out"), typed(row))
    client.post(where("template_test", row.pk), {"to": "me@example.com", "locale": "en"})
    assert Delivery.objects.count() == before
