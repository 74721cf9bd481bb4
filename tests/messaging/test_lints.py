"""Lints: each finds what it is for, with place and severity, in both languages; and the family keeps its contract."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import translation

from common.params import Invalid
from common.registry import Registry
from messaging.linting import find_all
from messaging.lints import Draft, Finding, Part, Severity, Variant, lints
from messaging.models import BannedWord, Template
from messaging.places import Image, Link, Seen
from messaging.publish import Unconfirmed, ask_of, check_template, publish_template
from messaging.render import kept
from messaging.render.cell import guard
from messaging.render.kept import Source
from messaging.render.words import translated
from segments.models import EventProperty, Trait
from tests.messages import make_account, make_topic
from tests.messaging.bombs import BOMBS, ESCAPES
from tests.people import NOW

pytestmark = pytest.mark.django_db
LEAVE = '<a href="{{ links.unsubscribe }}">Leave</a> {{ brand.address }}'
CHINESE = re.compile("[\u4e00-\u9fff]")


def mail(**parts: str) -> dict[str, str]:
    return {"subject": "Hello", "html": f"<html><body>Hi {LEAVE}</body></html>", **parts}


def draft(content: Any, *, channel: str = "email", klass: str = "marketing", **fields: Any) -> Template:
    """A saved template with its topic."""
    topic = make_topic() if klass != "transactional" else None
    return Template.objects.create(
        key=fields.pop("key", "hello"),
        name="Hello",
        channel=channel,
        klass=klass,
        topic=topic,
        content=content,
        **fields,
    )


def found(template: Template, *keys: str) -> list[tuple[str, str, str, str, int]]:
    """What the lints of these keys say: lint, severity, language, part, line."""
    return [
        (one.lint, str(one.severity), one.locale, one.part, one.line) for one in find_all(template) if one.lint in keys
    ]


def html(inside: str) -> dict[str, Any]:
    return {"en": mail(html=f"<html><body>\n{inside}\n{LEAVE}</body></html>")}


# the family


EMPTY = Draft("x", "email", "marketing", {})
FULL = Draft(
    "x", "sms", "marketing",
    {
        "en": Variant("en", {
            "text": Part("x" * 300, False, (), Seen((Link(3, "http://a.example"),), (Image(2, "data:,", None),), ((1, "best"),))),
        }, {"text": "x" * 300}),
        "zh-Hans": Variant("zh-Hans", {}),
    },
    wanted=("en", "fr"),
    fallbacks=frozenset({("footer", "en", "fr")}),
)  # fmt: skip


@pytest.mark.parametrize("key", lints.keys())
@pytest.mark.parametrize("given", [EMPTY, FULL])
def test_every_lint_says_the_same_in_both_languages(key: str, given: Draft) -> None:
    lint = lints.get(key)
    assert lint.key == key
    said = {}
    for language in ("en", "zh-hans"):
        with translation.override(language), CaptureQueriesContext(connection) as asked:
            said[language] = list(lint.find(given))
        assert len(asked) <= 2
    places = [[(one.severity, one.locale, one.part, one.line) for one in said[language]] for language in said]
    assert places[0] == places[1]
    assert all(one.severity in Severity and one.message for one in said["en"])
    assert not any(CHINESE.search(one.message) for one in said["en"])
    assert all(CHINESE.search(one.message) for one in said["zh-hans"])


def test_a_lint_of_ones_own_is_asked_too() -> None:
    class Shouting:
        key = "shouting"

        def find(self, given: Draft) -> Any:
            for locale, variant in given.variants.items():
                if "!" in variant.parts["subject"].source:
                    yield Finding(Severity.WARNING, "shouts", locale, "subject", 1)

    family: Registry[Any] = lints
    with family.temporarily("shouting", Shouting()):
        assert found(draft({"en": mail(subject="Hello!")}), "shouting") == [("shouting", "warning", "en", "subject", 1)]


def test_a_sound_draft_has_nothing_to_say() -> None:
    with override_settings(BRAND_ADDRESS="1 Garden Road, Suzhou"):
        content = {"en": mail(), "zh-Hans": mail(subject="您好", html=f"<html><body>您好 {LEAVE}</body></html>")}
        assert find_all(draft(content)) == []


# each of them


def test_a_variable_that_nobody_has_is_an_error_and_one_that_some_have_a_warning() -> None:
    Trait.objects.create(key="plan", type="string", first_seen_at=NOW, last_seen_at=NOW)
    EventProperty.objects.create(event="Order", key="total", type="number", first_seen_at=NOW, last_seen_at=NOW)
    inside = (
        "{{ profile.first_name }} {{ profile.plan | default('') }} {{ event.total }}\n"
        "{{ profile.plam }}\n{{ profile.plan }}\n{{ profile.plam | default('x') }}\n{{ event.vip }} {{ coupon.kode }}"
        "{% if profile.gone is defined %}{{ profile.gone }}{% endif %}"
    )
    said = [one[1:] for one in found(draft(html(inside), sample={"event": {"vip": 1, "total": 2}}), "variables")]
    assert said == [
        ("error", "en", "html", 3),
        ("error", "en", "html", 6),
        ("warning", "en", "html", 4),
        ("warning", "en", "html", 5),
        ("warning", "en", "html", 6),
        ("warning", "en", "html", 6),
    ]


def test_marketing_lets_its_reader_leave() -> None:
    content = {"en": {"subject": "Hi", "html": "<html><body>Hi</body></html>", "text": "Hi {{ links.unsubscribe }}"}}
    template = draft(content)
    assert found(template, "unsubscribe") == [("unsubscribe", "error", "en", "html", 0)]
    template.klass = "transactional"
    assert found(template, "unsubscribe") == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Sale today", True),
        ("Sale today. Reply STOP to opt out", False),
        ("今日特惠 拒收请回复R", False),
        ("不停", True),
    ],
)
def test_a_marketing_sms_says_how_to_refuse(text: str, missing: bool) -> None:
    template = draft({"en": {"text": text}}, channel="sms")
    assert bool(found(template, "unsubscribe")) is missing


def test_a_marketing_mail_names_its_sender() -> None:
    without = f"<html><body>{LEAVE.replace('{{ brand.address }}', '')}</body></html>"
    template = draft({"en": mail(html=without)})
    assert found(template, "sender") == [("sender", "warning", "en", "html", 0)]
    template.content = {"en": mail()}
    with override_settings(BRAND_ADDRESS=""):
        assert found(template, "sender") == [("sender", "warning", "en", "html", 0)]
    with override_settings(BRAND_ADDRESS="1 Garden Road"):
        assert found(template, "sender") == []


def test_links_that_lead_nowhere_or_go_unencrypted() -> None:
    inside = (
        '<a href="http://a.example/x">a</a>\n<a href="/new">b</a>\n<a href="https://c.example">c</a>\n<a href="">d</a>'
    )
    assert found(draft(html(inside)), "links", "") == [
        ("", "error", "en", "html", 3),
        ("", "error", "en", "html", 5),
        ("links", "warning", "en", "html", 2),
    ]


def test_images_without_words_or_out_of_reach() -> None:
    inside = (
        '<img src="https://a.example/1.png" alt="A cup">\n<img src="https://a.example/2.png">\n'
        '<img src="http://a.example/3.png" alt=""><img src="data:image/png;base64,AA" alt="x">'
    )
    said = found(draft(html(inside)), "images")
    assert said == [
        ("images", "warning", "en", "html", 3),
        ("images", "warning", "en", "html", 4),
        ("images", "warning", "en", "html", 4),
    ]


def test_a_mail_that_gmail_cuts_off() -> None:
    template = draft(html("<p>{% for x in event.xs %}" + "word " * 400 + "{% endfor %}</p>"))
    template.sample = {"event": {"xs": [1] * 49}}
    assert found(template, "size") == []
    template.sample = {"event": {"xs": [1] * 52}}
    assert found(template, "size") == [("size", "warning", "en", "html", 0)]
    assert "104 KB" in next(one.message for one in find_all(template) if one.lint == "size")


@override_settings(MESSAGE_LOCALES=["en", "zh-Hans", "fr"])
def test_languages_and_parts_that_are_missing() -> None:
    content = {"en": mail(preheader="Look"), "zh-hans": mail(text="您好 {{ links.unsubscribe }}")}
    assert found(draft(content), "translations") == [
        ("translations", "warning", "en", "text", 0),
        ("translations", "warning", "zh-hans", "preheader", 0),
        ("translations", "warning", "zh-hans", "subject", 0),
        ("translations", "warning", "fr", "", 0),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Sale. Reply STOP " + "a" * 143, []),
        ("Sale. Reply STOP " + "a" * 144, ["2 segments of GSM-7 (161 characters): about 0.09 CNY a message"]),
        ("退订" + "好" * 69, ["2 segments of UCS-2 (71 characters): about 0.09 CNY a message"]),
        (
            "Don’t wait – reply STOP " + "a" * 50,
            ["2 segments of UCS-2 (74 characters): about 0.09 CNY a message", "–’ are outside GSM-7 and make it dearer: - ' would do"],
        ),
    ],
)  # fmt: skip
def test_what_a_short_message_costs(text: str, said: list[str]) -> None:
    make_account("sms", channel="sms", transport="twilio", settings={"segment_price": "0.045 CNY"})
    template = draft({"en": {"text": text}}, channel="sms", klass="transactional")
    assert [one.message for one in find_all(template) if one.lint == "length"] == said


def test_without_a_price_the_parts_are_told() -> None:
    template = draft({"en": {"text": "a" * 400}}, channel="sms", klass="transactional")
    assert [one.message for one in find_all(template) if one.lint == "length"] == [
        "3 segments of GSM-7 (400 characters): paid 3 times"
    ]


@pytest.mark.parametrize(
    ("channel", "parts"),
    [
        ("wecom_robot", {"text": "好" * 700}),
        ("sms", {"text": "a" * 1600}),
        ("webhook", {"body": "{'a': 1}"}),
        ("dingtalk", {"title": "x", "text": " "}),
    ],
)
def test_what_the_channel_would_refuse(channel: str, parts: dict[str, str]) -> None:
    template = draft({"en": parts}, channel=channel, klass="transactional")
    assert found(template, "limits") == [("limits", "error", "en", "", 0)]


def test_banned_words_by_language_with_line_and_what_to_write_instead() -> None:
    BannedWord.objects.create(word="free", severity="warning", instead="at no cost")
    BannedWord.objects.create(word="最佳", locale="zh")
    BannedWord.objects.create(word="gratis", locale="de")
    content = {
        "en": mail(html=f'<html><style>.free {{ }}</style><body>\nFREE\n{{# free #}} freedom gratis <img alt="free cup" src="https://a.example/x">{LEAVE}</body></html>'),
        "zh-Hans": mail(subject="全国最佳之选"),
    }  # fmt: skip
    template = draft(content)
    assert found(template, "banned") == [
        ("banned", "error", "zh-Hans", "subject", 1),
        ("banned", "warning", "en", "html", 2),
        ("banned", "warning", "en", "html", 3),
    ]
    told = [one.message for one in find_all(template) if one.lint == "banned"]
    assert told[1] == "'FREE' is a banned word: write 'at no cost'"


# publishing


def test_a_person_confirms_warnings_and_a_program_does_not() -> None:
    template = draft(html('<img src="https://a.example/x.png">'))
    with pytest.raises(Unconfirmed) as asked:
        publish_template(template, now=NOW, confirmed=[])
    warnings = asked.value.warnings
    assert {one.lint for one in warnings} == {"images", "sender", "translations"}
    assert not template.versions.exists()
    with pytest.raises(Unconfirmed):
        publish_template(template, now=NOW, confirmed=asked.value.ask[1:])
    assert publish_template(template, now=NOW, confirmed=asked.value.ask).number == 1
    template.content["en"]["subject"] = "Other"
    assert publish_template(template, now=NOW + timedelta(1)).number == 2
    assert len(ask_of(warnings)) == len(set(ask_of(warnings))) == len(warnings)


def test_an_error_of_a_lint_keeps_a_draft_back() -> None:
    BannedWord.objects.create(word="cheap")
    template = draft({"en": mail(subject="cheap")})
    with pytest.raises(Invalid) as raised:
        publish_template(template, now=NOW)
    assert [str(problem) for problem in raised.value.problems] == [
        "content.en.subject: line 1: 'cheap' is a banned word"
    ]
    assert not template.versions.exists()


# words


def test_what_the_guard_says_of_hostile_templates_is_said_in_chinese_too() -> None:
    syntax = 0
    for source in [*ESCAPES, *BOMBS]:
        for fault in guard.check(source, html=True):
            with translation.override("zh-hans"):
                told = translated(fault.message)
            if CHINESE.search(told):
                continue
            syntax += 1  # Jinja2's own words about a syntax that is none
            assert re.search("unknown tag|expected|unexpected|Encountered|cannot|too many|invalid", told), told
    assert 0 < syntax < 12


def test_what_the_renderer_says_is_said_in_chinese_too() -> None:
    said = []
    for source in ("{{ x }}", "{{ 1 | date }}{{ 'a' | date }}", "{{ [1] | upper }}", "{{ 'a' | int + xs | abs }}"):
        answer = kept.render({source: Source(source, {"text": (False, source)})}, [(source, '{"xs": [1]}')])[0]
        with translation.override("zh-hans"):
            said.append(translated(answer["error"]))
    assert said == ["'x' 没有值", "这不是日期", "列表或一组值不是文本", "这不是数字"]


def test_problems_are_told_in_the_language_of_who_reads() -> None:
    html = "<html><body><script></script>{{ 'a' | safe }}</body></html>"
    link = '<html><body><a href="shop.example">x</a></body></html>'
    template = draft({"en": {"subject": "", "html": html}, "de": {"subject": "x", "html": link}})
    with translation.override("zh-hans"):
        told = [str(problem) for problem in check_template(template)]
    assert len([text for text in told if "shop.example" in text]) == 1
    assert all(CHINESE.search(text) for text in told)
