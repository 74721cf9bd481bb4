"""Starter messages: words as data, put into one responsive layout when they are made a template.

A starter is `templates/messages/<key>.json`: names, class, topic, theme, sample data, and per locale a subject,
preheader, kicker, heading, paragraphs, blocks, perhaps a coupon and a button. `layout.mjml` beside them is the frame.
A block is `blocks/<kind>.mjml`; one that repeats has a line `----` before and after what is repeated. Colours, for
light and dark, are in `blocks/themes.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from string import Template as Form
from typing import Any

from django.db import transaction

from common.audit import record
from common.text import say
from messaging.models import Template, Topic

FOLDER = Path(__file__).resolve().parent.parent / "templates" / "messages"
BLOCKS = FOLDER / "blocks"
THEME = "leaf"  # of a starter that names none
MOST_COPIES = 99
Words = Mapping[str, Any]


def starter_keys() -> list[str]:
    """Keys of all starters, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_starter(key: str) -> dict[str, Any]:
    """The starter's data. Raises FileNotFoundError for an unknown key."""
    if key not in starter_keys():
        raise FileNotFoundError(f"no starter message '{key}'")
    data: dict[str, Any] = json.loads((FOLDER / f"{key}.json").read_text(encoding="utf-8"))
    return data


@cache
def themes() -> dict[str, dict[str, Any]]:
    """Every theme by name: its colours as #rrggbb, and the ornament as "shape colour"."""
    found: dict[str, dict[str, Any]] = json.loads((BLOCKS / "themes.json").read_text(encoding="utf-8"))
    return found


def install_starter(key: str) -> tuple[Template, bool]:
    """Make the template of a starter unless one with its key exists; says whether it was made."""
    data = read_starter(key)
    return Template.objects.get_or_create(key=key, defaults=_fields(data, _topic(data["topic"])))


def draft_of_starter(key: str, *, now: datetime, by: Any) -> Template:
    """A new template with the starter's words, under its key or the next free one (`birthday-2`), for an operator to
    make their own. Raises FileNotFoundError for an unknown key."""
    data = read_starter(key)
    with transaction.atomic():
        template = Template.objects.create(key=_free_key(key), **_fields(data, _topic(data["topic"])))
        record("template.from_starter", f"template:{template.key}", now=now, actor=by, detail={"starter": key})
    return template


def unsaved(key: str) -> Template:
    """The starter as a template that is nowhere stored, for looking at it. Raises FileNotFoundError."""
    data = read_starter(key)
    topic = Topic(key=data["topic"], name=data["topic"]) if data["topic"] else None
    return Template(key=key, **_fields(data, topic))


def _fields(data: Words, topic: Topic | None) -> dict[str, Any]:
    return {
        "name": data["name"],
        "name_zh": data["name_zh"],
        "channel": data["channel"],
        "klass": data["klass"],
        "topic": topic,
        "content": {locale: compose(data, locale) for locale in data["variants"]},
        "sample": data.get("sample", {}),
    }


def _topic(key: str) -> Topic | None:
    """The topic of that key, made if it is one that starters bring along."""
    if not key:
        return None
    known = json.loads((BLOCKS / "topics.json").read_text(encoding="utf-8"))
    if key in known:
        return Topic.objects.get_or_create(key=key, defaults=known[key])[0]
    return Topic.objects.filter(key=key).first()


def _free_key(key: str) -> str:
    taken = set(Template.objects.filter(key__startswith=key).values_list("key", flat=True))
    names = [key, *(f"{key}-{n}" for n in range(2, MOST_COPIES))]
    return next(name for name in names if name not in taken)


def compose(data: Words, locale: str) -> dict[str, str]:
    """The parts of one locale's variant: subject, preheader and the MJML source. `data` as in a starter's file: its
    class decides the footer, its theme the colours."""
    words, theme = data["variants"][locale], themes()[data.get("theme", THEME)]
    source = _form(FOLDER / "layout.mjml").substitute(
        theme,
        title=words["heading"],
        kicker=words.get("kicker") or "{{ brand.name }}",
        heading=words["heading"],
        ornament=_ornament(theme["ornament"]),
        body="\n".join(_body(words, theme)),
        footer=_footer(data["klass"], locale),
    )
    return {"subject": words["subject"], "preheader": words["preheader"], "mjml": source}


def _body(words: Words, theme: Mapping[str, Any]) -> Iterator[str]:
    """The MJML between the heading and the footer."""
    for text in words["paragraphs"]:
        yield _block("text", theme, text=text)
    for block in words.get("blocks", ()):
        yield (
            _repeated(block, theme)
            if "rows" in block or block["kind"] == "scores"
            else _block(block["kind"], theme, **{name: value for name, value in block.items() if name != "kind"})
        )
    for kind in ("coupon", "button"):
        if words.get(kind):
            yield _block(kind, theme, **words[kind])
    if words.get("small"):
        yield _block("small", theme, text=words["small"])


def _repeated(block: Words, theme: Mapping[str, Any]) -> str:
    """A block with a part per row: rows are pairs (title, text or label, value) or groups of named texts."""
    before, each, after = (BLOCKS / f"{block['kind']}.mjml").read_text(encoding="utf-8").split("----\n")
    rows = block["rows"] if "rows" in block else [{} for _ in range(11)]
    fixed = {**theme, **{name: value for name, value in block.items() if name not in ("rows", "kind")}}
    pairs = ("label", "value") if block["kind"] == "facts" else ("title", "text")
    lines = []
    for at, row in enumerate(rows):
        named = row if isinstance(row, Mapping) else dict(zip(pairs, row, strict=True))
        number = at if block["kind"] == "scores" else at + 1
        lines.append(Form(each).substitute(fixed, number=number, **named))
    return Form(before).substitute(fixed) + "".join(lines) + Form(after).substitute(fixed)


def _block(kind: str, theme: Mapping[str, Any], **values: Any) -> str:
    return _form(BLOCKS / f"{kind}.mjml").substitute(theme, **values).rstrip()


def _form(path: Path) -> Form:
    return Form(path.read_text(encoding="utf-8"))


def _ornament(shapes: list[str]) -> str:
    """A row of leaves and dots by cells of one colour: nothing to load, nothing to block."""
    cell = (
        '<td class="{}" width="24" height="24" style="width:24px;height:24px;font-size:0;line-height:0;'
        'background-color:{}"></td><td width="8" style="width:8px;font-size:0;line-height:0"></td>'
    )
    return "".join(cell.format(*shape.split()) for shape in shapes)


def _footer(klass: str, locale: str) -> str:
    """Why the reader gets this, who writes, and the ways out; a transactional mail has no way out to offer."""
    why = {
        "marketing": say(
            "You get this because you asked to hear from {{ brand.name }}.",
            "您收到此邮件，是因为您订阅了 {{ brand.name }} 的内容。",
            locale,
        ),
        "lifecycle": say(
            "You get this because you are a customer of {{ brand.name }}.",
            "您收到此邮件，是因为您是 {{ brand.name }} 的顾客。",
            locale,
        ),
        "transactional": say(
            "This mail belongs to something you did at {{ brand.name }}. It is not advertising.",
            "此邮件由您在 {{ brand.name }} 的操作触发，不是广告。",
            locale,
        ),
    }[klass]
    links = [("view", say("View in browser", "在浏览器中查看", locale))]
    if klass != "transactional":
        links = [
            ("unsubscribe", say("Unsubscribe", "退订", locale)),
            ("preferences", say("Preferences", "偏好设置", locale)),
            *links,
        ]
    ways = " · ".join(f'<a href="{{{{ links.{name} }}}}" style="color:#5f6a65">{text}</a>' for name, text in links)
    who = "{{ brand.name }}{% if brand.address %} · {{ brand.address }}{% endif %}"
    return f'<p style="margin:0">{why}<br />{who}</p><p style="margin:8px 0 0">{ways}</p>'
