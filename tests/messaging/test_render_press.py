"""The press: what MJML, CSS and HTML tools do with hostile sources costs one process, and its author reads why."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from common.params import Invalid
from messaging.models import Template
from messaging.places import Image, Link, Place, fault_of
from messaging.publish import compile_template, preview_template
from messaging.render import pressed
from messaging.render.cell.limits import PRESS_PATIENCE, SOURCE
from messaging.render.press.contract import Kind
from messaging.render.press.scan import scan
from tests.messages import make_topic

EMAIL = Kind(frozenset({"html"}), True, "https://shop.example", "en")
PLAIN = {"subject": "Hello", "text": "Hello {{ links.unsubscribe }}"}


def mail(inside: str, head: str = "") -> str:
    return f"<html><head>{head}</head><body>{inside}</body></html>"


def mjml(inside: str) -> str:
    return f"<mjml><mj-body><mj-section><mj-column>{inside}</mj-column></mj-section></mj-body></mjml>"


HOSTILE: dict[str, tuple[str, str]] = {  # name: part, source; each within the 64 KiB that an author may write
    "tags that never close": ("html", mail("<b>" * 21_000)),
    "tables in tables": ("html", mail("<table><tr><td>" * 4_200)),
    "rules times elements": (
        "html",
        mail("<i></i>" * 4_000, f"<style>{''.join(f'*{{a{n}:b}}' for n in range(2_500))}</style>"),
    ),
    "one long rule for many": ("html", mail("<i></i>" * 4_000, f"<style>*{{a:{'b' * 30_000}}}</style>")),
    "selectors of siblings": (
        "html",
        mail("<i></i>" * 4_000, f"<style>{''.join(f'i~i~i~i~i~b{{a{n}:b}}' for n in range(1_500))}</style>"),
    ),
    "MJML never closed": ("mjml", mjml("<mj-text>" + "<b>" * 15_000 + "</mj-text>")),
    "wrappers in wrappers": ("mjml", f"<mjml><mj-body>{'<mj-wrapper>' * 2_500}{'</mj-wrapper>' * 2_500}</mj-body></mjml>"),
    "a carousel of thousands": ("mjml", mjml("<mj-carousel>" + "<mj-carousel-image/>" * 3_000 + "</mj-carousel>")),
    "accordions": ("mjml", mjml("<mj-accordion>" + "<mj-accordion-element/>" * 2_500 + "</mj-accordion>")),
    "text in MJML": ("mjml", mjml("<mj-text>" + "<div>" * 5_800 + "</div>" * 5_800 + "</mj-text>")),
    "a quote that never ends": ("html", mail('<a href="' + '<a "' * 15_000)),
    "comments that never end": ("html", mail("<!--" * 15_000)),
    "half tags": ("html", mail("<" * 60_000)),
    "many marks": ("html", mail("{% if a %}{% endif %}" * 3_000)),
    "blanks in a tag": ("html", mail("{{" + " " * 60_000 + "preheader }}")),
    "addresses in text": ("text", "http://" * 9_000),
}  # fmt: skip


def rss() -> int:
    """Resident MiB of this process at its highest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@pytest.fixture
def warm() -> None:
    """A press that runs, so that a test times the work and not its start."""
    pressed.build({"subject": "x"}, EMAIL)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sources_cost_bounded_time_and_memory(name: str, warm: None) -> None:
    part, source = HOSTILE[name]
    assert len(source) <= SOURCE
    start, before = time.perf_counter(), rss()
    page = pressed.build({"subject": "Hello", part: source}, EMAIL)
    took = time.perf_counter() - start
    assert took < 3 * PRESS_PATIENCE + 2, took  # together, then each part alone, then the rest, and new processes
    assert rss() - before < 60
    assert page.parts["subject"] == "Hello"
    assert page.faults == [] or {where for where, _ in page.faults} <= {part, "html"}
    assert all(len(text) <= 256 * 1024 for text in page.parts.values())


@pytest.mark.parametrize("name", ["tags that never close", "rules times elements", "wrappers in wrappers"])
def test_who_breaks_the_press_reads_why_and_nobody_else_notices(name: str, warm: None) -> None:
    part, source = HOSTILE[name]
    before = pressed.pid()
    page = pressed.build({"subject": "Hello", part: source}, EMAIL)
    assert [(where, "was stopped" in message) for where, message in page.faults] == [(part, True)]
    assert page.parts == {"subject": "Hello"}
    whole = pressed.build({"subject": "Hi", "html": mail("<p>Hi</p>")}, EMAIL)
    assert (whole.faults, whole.parts["text"]) == ([], "Hi\n")
    assert pressed.pid() != before


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a carousel of thousands", "tables in tables", "MJML never closed"])
def test_a_hostile_draft_is_refused_or_frozen_within_its_bounds(name: str, warm: None) -> None:
    part, source = HOSTILE[name]
    sources = {**PLAIN, part: source} if part != "text" else {"subject": "Hello", "text": source}
    template = Template(key="x", channel="email", klass="transactional", topic=make_topic(), content={"en": sources})
    start = time.perf_counter()
    for verb in (compile_template, lambda row: preview_template(row, locale="en")):
        with pytest.raises(Invalid) as raised:
            verb(template)
        assert all(problem.path.startswith("content.en") for problem in raised.value.problems)
    assert time.perf_counter() - start < 2 * (3 * PRESS_PATIENCE + 3)


def test_the_press_has_nothing(warm: None) -> None:
    pid = pressed.pid()
    assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    limits = Path(f"/proc/{pid}/limits").read_text()
    row = {line[:25].strip(): line[25:].split() for line in limits.splitlines()[1:]}
    assert row["Max open files"][:2] == ["3", "3"]
    assert row["Max address space"][:2] == [str(768 * 1024 * 1024)] * 2
    assert row["Max processes"][0] == "0"
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert not any(name in maps for name in ("sqlite", "psycopg", "_ssl"))


def test_random_markup_never_takes_this_process_with_it(rng: random.Random, prove: bool) -> None:
    """Whatever a page is made of: an answer comes, and the next author is served."""
    atoms = [
        "<b>", "</b>", "<table>", "<td>", "</table>", "<p>", "<a href='", "'>", '"', "<!--", "-->", "<style>", "</style>",
        "*{a:b}", "a,b{c:url(x)}", "@media(", "{{ x }}", "{% if a %}", "{% endif %}", "<mj-text>", "</mj-text>", "<svg>",
        "<math>", "<![CDATA[", "<textarea>", "您好", "&#x0;", "\x0c", "<mjml>", "<tbody>", "<!DOCTYPE", "<br/>",
    ]  # fmt: skip
    for _ in range(2_000 if prove else 150):
        source = "".join(rng.choice(atoms) * rng.choice([1, 1, 2, 50, 400]) for _ in range(rng.randint(1, 30)))
        part = rng.choice(["html", "mjml", "text"])
        source = source[:SOURCE]
        page = pressed.build({"subject": "ok", part: mjml(source) if part == "mjml" else source}, EMAIL)
        assert page.parts["subject"] == "ok", source


# reading


def test_links_images_and_words_keep_their_lines() -> None:
    seen = scan(
        '<p>Hello {{ profile.first_name\n| upper }}</p>\n<a href="https://a.example/{{ x }}">Go</a>\n'
        '<mj-image src="http://b.example/c.png" />\n<mj-button href="{{ brand.url }}/new">Buy</mj-button>'
        '<img src="x.png" alt="A cup">\n<style>\nfree {}</style><a href="javascript:1">x</a>',
        html=True,
    )
    assert seen.links == (
        Link(3, "https://a.example/{{ x }}"),
        Link(5, "{{ brand.url }}/new"),
        Link(7, "javascript:1", "a link must not begin with javascript:"),
    )
    assert seen.images == (Image(4, "http://b.example/c.png", None), Image(5, "x.png", "A cup"))
    assert [(line, text) for line, text in seen.words if text] == [
        (1, "Hello"), (3, "Go"), (5, "Buy"), (5, "A cup"), (7, "x"),
    ]  # fmt: skip


def test_addresses_in_plain_text_are_links_too() -> None:
    seen = scan("Hi\nSee https://a.example/b, or http://u:p@c.example。\n{{ links.unsubscribe }}", html=False)
    assert [(link.line, link.url, bool(link.fault)) for link in seen.links] == [
        (2, "https://a.example/b", False),
        (2, "http://u:p@c.example", True),
    ]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://a.example/", ""), ("mailto:a@b.example", ""), ("#top", ""), ("", "nowhere"), ("/new", "full address"),
        ("javascript:x", "javascript:"), ("DATA:x", "data:"), ("https://", "broken"), ("https://a b", "blank"),
        ("https://u@a.example", "user name"), ("https:\\\\evil", "broken"), ("http:/x", "broken"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_address(url: str, fault: str) -> None:
    assert fault in fault_of(url) if fault else fault_of(url) == ""


def test_a_page_survives_the_way_to_the_press_and_back(warm: None) -> None:
    page = pressed.build(
        {
            "subject": "您好 {{ profile.first_name }}",
            "preheader": "A <b>",
            "html": mail('<a href="https://x.example/{{ a }}" data-alias="go" data-track="off">x</a> é'),
        },
        EMAIL,
    )
    assert page.links == [Place(page.links[0].url, "go", True, False, True)] * len(page.links)
    assert page.seen["html"].links == (Link(1, "https://x.example/{{ a }}"),)
    frozen: dict[str, Any] = page.frozen()
    assert sorted(frozen) == ["html", "links", "subject", "text"]
    assert frozen["subject"] == "您好 {{ profile.first_name }}"
