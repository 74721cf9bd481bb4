"""Blocks and layouts: put in place before anything reads the draft, frozen with the version, and known where used."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from common.params import Invalid
from messaging.blocks import Library, digest_of_block, mentioned, used_by
from messaging.linting import find_all
from messaging.models import Block, Template
from messaging.publish import preview_template, publish_template
from tests.messages import make_topic
from tests.people import NOW

pytestmark = pytest.mark.django_db
LEAVE = '<a href="{{ links.unsubscribe }}">Leave</a> {{ brand.address }}'


def block(key: str, *, kind: str = "block", en: dict[str, str] | None = None, **locales: dict[str, str]) -> Block:
    content: dict[str, Any] = {"en": en} if en else {}
    content |= {name.replace("_", "-"): parts for name, parts in locales.items()}
    return Block.objects.create(key=key, name=key.title(), kind=kind, content=content)


def template(html: str, *, key: str = "hello", **fields: Any) -> Template:
    content = fields.pop("content", {"en": {"subject": "Hello", "html": html}})
    return Template.objects.create(key=key, name=key, klass="marketing", topic=make_topic(), content=content, **fields)


def said(row: Template) -> list[str]:
    return [
        f"{one.severity} {one.locale}.{one.part} {one.block}:{one.line} {one.message}"
        for one in find_all(row)
        if one.lint not in ("sender", "translations")
    ]


def test_a_block_stands_in_each_form_and_language() -> None:
    block(
        "footer",
        en={"html": f"<p>{LEAVE}</p>", "text": "Leave: {{ links.unsubscribe }}"},
        zh_Hans={"html": f"<p>退订 {LEAVE}</p>"},
    )
    row = template("", content={
        "en": {"subject": "Hi", "html": "<html><body>A{{ blocks.footer }}Z</body></html>", "text": "Hi\n{{blocks.footer}}"},
        "zh-Hans": {"subject": "您好", "html": "<html><body>{{- blocks.footer -}}</body></html>"},
    })  # fmt: skip
    assert said(row) == []
    assert 'A<p><a href="#">Leave</a>' in preview_template(row, locale="en").parts["html"]
    assert preview_template(row, locale="en").parts["text"] == "Hi\nLeave: #"
    assert "退订" in preview_template(row, locale="zh-CN").parts["html"]


def test_a_layout_stands_around_the_words() -> None:
    frame = "<mjml><mj-body><mj-section><mj-column>\n{{ content }}\n{{ blocks.footer }}</mj-column></mj-section></mj-body></mjml>"
    layout = block("frame", kind="layout", en={"mjml": frame})
    block("footer", en={"mjml": f"<mj-text>{LEAVE}</mj-text>"})
    row = template("", content={"en": {"subject": "Hi", "mjml": "<mj-text>Hello</mj-text>"}}, layout=layout)
    version = publish_template(row, now=NOW)
    assert sorted(version.blocks) == ["footer", "frame"]
    text = preview_template(row, locale="en").parts["text"]
    assert text.index("Hello") < text.index("Leave")
    row.content = {"en": {"subject": "Hi", "html": f"<p>Hello {LEAVE}</p>"}}
    assert said(row)[0] == "error en.html :1 the layout 'frame' has no HTML with {{ content }}"


def test_a_version_keeps_what_its_blocks_said() -> None:
    footer = block("footer", en={"html": f"<p>{LEAVE} old</p>"})
    row = template("<html><body>{{ blocks.footer }}</body></html>")
    first = publish_template(row, now=NOW)
    frozen = dict(first.content["en"])
    footer.content["en"]["html"] = f"<p>{LEAVE} new</p>"
    footer.save()
    first.refresh_from_db()
    assert first.content["en"] == frozen
    assert "old" in frozen["html"]
    second = publish_template(row, now=NOW + timedelta(1))
    assert second.number == 2
    assert "new" in second.content["en"]["html"]
    assert (first.blocks["footer"], second.blocks["footer"]) != (digest_of_block(footer.content),) * 2
    assert second.blocks["footer"] == digest_of_block(footer.content)


def test_what_is_wrong_with_a_block_is_told_of_the_block() -> None:
    block("footer", en={"html": f'<p>\n{LEAVE}</p>\n<a href="javascript:1">x</a>\n{{{{ nobody }}}}'})
    row = template("<html><body>\n\n{{ blocks.footer }}\n<img src='https://a.example/x.png'></body></html>")
    told = said(row)
    assert "error en.html footer:3 a link must not begin with javascript:" in told
    assert any(one.startswith("error en.html footer:4 there is no variable 'nobody'") for one in told)
    assert any(one.startswith("warning en.html :4 an image has no alt text") for one in told)
    with pytest.raises(Invalid) as raised:
        publish_template(row, now=NOW)
    assert "content.en.html: block 'footer', line 3: a link must not begin with javascript:" in map(
        str, raised.value.problems
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ blocks.nothing }}", "there is no block 'nothing'"),
        ("{{ blocks.frame }}", "there is no block 'frame'"),
        ("{{ blocks.textual }}", "the block 'textual' has no HTML"),
        ("{{ blocks.ring }}", "the block 'ring' holds itself, or too many in one another"),
        ("{{ blocks.footer | upper }}", "there is no variable 'blocks'"),
    ],
)
def test_what_cannot_be_put_in_place_is_an_error(source: str, message: str) -> None:
    block("frame", kind="layout", en={"html": "{{ content }}"})
    block("textual", en={"text": "x"})
    block("ring", en={"html": "{{ blocks.gnir }}"})
    block("gnir", en={"html": "{{ blocks.ring }}"})
    told = said(template(f"<html><body>\n{source}\n{LEAVE}</body></html>"))
    place = "gnir:1" if "ring" in source else ":2"
    assert any(one.startswith(f"error en.html {place}") and message in one for one in told), told


def test_a_block_in_another_language_is_a_warning() -> None:
    block("footer", en={"html": LEAVE})
    row = template(
        "", content={"zh-Hans": {"subject": "您好", "html": "<html><body>{{ blocks.footer }}</body></html>"}}
    )
    told = [one for one in find_all(row) if one.block == "footer" and one.lint == "translations"]
    assert [(str(one.severity), one.locale) for one in told] == [("warning", "zh-Hans")]


def test_blocks_that_multiply_end_at_once() -> None:
    block("a", en={"html": "{{ blocks.b }}" * 2_000})
    block("b", en={"html": "{{ blocks.c }}" * 2_000})
    block("c", en={"html": ""})
    block("d", en={"html": "x" * 60_000})
    start = time.perf_counter()
    for source in ("{{ blocks.a }}" * 2_000, "{{ blocks.d }}" * 2_000):
        expanded = Library(Block.objects.all()).expand(source, part="html", locale="en")
        assert expanded.faults
        assert len(expanded.text) <= 256 * 1024 + 60_000
    assert time.perf_counter() - start < 2


def test_where_a_block_is_used_and_what_a_change_would_change() -> None:
    footer = block("footer", en={"html": LEAVE, "mjml": f"<mj-text>{LEAVE}</mj-text>"})
    mark = "<mjml><mj-body><mj-section><mj-column>{{ content }}{{ blocks.footer }}</mj-column></mj-section></mj-body></mjml>"
    layout = block("frame", kind="layout", en={"mjml": mark})
    direct = template("<html><body>{{ blocks.footer }}</body></html>", key="direct")
    framed = template(
        "", key="framed", content={"en": {"subject": "Hi", "mjml": "<mj-text>x</mj-text>"}}, layout=layout
    )
    left = template("<html><body>{{ blocks.footer }}</body></html>", key="left")
    template(f"<html><body>{LEAVE}</body></html>", key="other")
    template("{{ blocks.footer }}", key="gone", archived=True)
    for row in (direct, framed, left):
        publish_template(row, now=NOW)
    Template.objects.filter(pk=left.pk).update(content={"en": {"subject": "Hi", "html": "x"}})

    def used(**content: Any) -> list[tuple[str, bool, int, bool]]:
        rows = used_by(Block.objects.get(pk=footer.pk), **content)
        return [(one.template.key, one.in_draft, one.version, one.stale) for one in rows]

    assert used() == [("direct", True, 1, False), ("framed", True, 1, False), ("left", False, 1, False)]
    assert [stale for *_rest, stale in used(content={"en": {"html": "new"}})] == [True, True, True]
    assert [one.template.key for one in used_by(layout)] == ["framed"]


def test_names_of_blocks_are_found_wherever_they_stand() -> None:
    content = {"en": {"subject": "{{ blocks.a }}", "html": "x{{-blocks.b_2-}}y {{ blocks.C }}"}, "de": ["x"]}
    assert mentioned(content) == {"a", "b_2"}
    assert mentioned(None) == set()
