"""Starter messages: words as data, put into one responsive layout when they are installed as a template.

A starter is `templates/messages/<key>.json`: names, class, topic, sample data, and per locale a subject,
preheader, heading, paragraphs, perhaps a coupon box and a button. The layout is `layout.mjml` beside them.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template as Form
from typing import Any

from common.text import say
from messaging.models import Template, Topic

FOLDER = Path(__file__).resolve().parent.parent / "templates" / "messages"


def starter_keys() -> list[str]:
    """Keys of all starters, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_starter(key: str) -> dict[str, Any]:
    """The starter's data. Raises FileNotFoundError for an unknown key."""
    if key not in starter_keys():
        raise FileNotFoundError(f"no starter message '{key}'")
    data: dict[str, Any] = json.loads((FOLDER / f"{key}.json").read_text(encoding="utf-8"))
    return data


def install_starter(key: str) -> tuple[Template, bool]:
    """Make the template of a starter unless one with its key exists; says whether it was made."""
    data = read_starter(key)
    content = {locale: compose(words, locale) for locale, words in data["variants"].items()}
    return Template.objects.get_or_create(
        key=key,
        defaults={
            "name": data["name"],
            "name_zh": data["name_zh"],
            "channel": data["channel"],
            "klass": data["klass"],
            "topic": Topic.objects.filter(key=data["topic"]).first(),
            "content": content,
            "sample": data.get("sample", {}),
        },
    )


def compose(words: dict[str, Any], locale: str) -> dict[str, str]:
    """The parts of one locale's variant: subject, preheader and the MJML source."""
    layout = Form((FOLDER / "layout.mjml").read_text(encoding="utf-8"))
    source = layout.substitute(
        title=words["heading"],
        heading=words["heading"],
        body=_body(words),
        footer=say(
            "You get this because you are a customer of {{ brand.name }}. {{ brand.address }}",
            "您收到此邮件，因为您是 {{ brand.name }} 的顾客。{{ brand.address }}",
            locale,
        ),
        unsubscribe=say("Unsubscribe", "退订", locale),
        preferences=say("Preferences", "偏好设置", locale),
        view=say("View in browser", "在浏览器中查看", locale),
    )
    return {"subject": words["subject"], "preheader": words["preheader"], "mjml": source}


def _body(words: dict[str, Any]) -> str:
    """The MJML blocks between heading and footer."""
    blocks = [f"<mj-text>{text}</mj-text>" for text in words["paragraphs"]]
    if words.get("coupon"):
        blocks.append(
            '<mj-text align="center" font-size="22px" font-weight="700" letter-spacing="2px" color="#173327" '
            'container-background-color="#e8f3ec" padding="18px">{{ coupon.code }}</mj-text>'
        )
        blocks.append(f'<mj-text align="center" font-size="13px" color="#6a7783">{words["coupon"]}</mj-text>')
    if words.get("button"):
        blocks.append(
            '<mj-button background-color="#2f6b4f" color="#ffffff" border-radius="8px" font-size="16px" '
            f'inner-padding="14px 28px" href="{words["button"]["url"]}">{words["button"]["text"]}</mj-button>'
        )
    if words.get("small"):
        blocks.append(f'<mj-text font-size="14px" color="#6a7783">{words["small"]}</mj-text>')
    return "\n".join(f"        {block}" for block in blocks)
