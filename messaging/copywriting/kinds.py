"""Which words a message of a channel has, how long each may be, and how a proposal becomes parts of a template."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from common.text import has_poison
from messaging.channels import channels
from messaging.models import Template
from messaging.render.cell import guard
from messaging.starters import compose

EMAIL = {"subject": 120, "preheader": 160, "heading": 120, "paragraphs": 600, "button": 40}
LONGEST = {"subject": 120, "preheader": 160, "title": 80, "body": 300, "text": 300}
MACHINES = frozenset({"webhook", "console"})  # nobody reads what they carry
LISTS = frozenset({"paragraphs"})
MOST = 4  # paragraphs
LINES = ("subject", "preheader")  # what is put into an e-mail whose page stays as it is
_TAG = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_LINK = re.compile(r"https?:|www\.|\b[\w-]+\.(?:com|net|org|cn|io|shop|example)\b", re.IGNORECASE)


def words_of(channel: str) -> dict[str, int]:
    """The words that a variant has, and the longest each may be, in characters."""
    if channel == "email":
        return dict(EMAIL)
    known = channels.get(channel).parts if channel in channels and channel not in MACHINES else ()
    return {name: LONGEST[name] for name in known if name in LONGEST}


def wrong_with(parts: Any, channel: str, allowed: frozenset[str]) -> list[str]:
    """Every reason not to take a variant: form, length, links, markup, logic, and variables beyond `allowed`."""
    asked = words_of(channel)
    if not isinstance(parts, dict) or set(parts) != set(asked):
        return [_("these words are asked for: %(names)s") % {"names": ", ".join(asked)}]
    found = []
    for name, longest in asked.items():
        value = parts[name]
        texts = value if name in LISTS and isinstance(value, list) and 0 < len(value) <= MOST else [value]
        if name in LISTS and texts is not value:
            found.append(f"{name}: " + _("1 to %(most)s texts are asked for") % {"most": MOST})
            continue
        found += [f"{name}: {fault}" for text in texts for fault in _faults(text, longest, allowed)]
    return found


def _faults(text: Any, longest: int, allowed: frozenset[str]) -> list[str]:
    if not isinstance(text, str) or not text.strip():
        return [_("is empty or no text")]
    found = []
    if len(text) > longest:
        found.append(_("is longer than %(most)s characters") % {"most": longest})
    if "\n" in text or "\r" in text or has_poison(text):
        found.append(_("is not one line"))
    plain = _TAG.sub("", text)
    if re.search(r"<[a-zA-Z/!]", plain) or "{%" in text or "{#" in text:
        found.append(_("holds markup or logic"))
    if _LINK.search(plain):
        found.append(_("holds a link"))
    faults = guard.check(text, html=False)
    if faults:
        return [*found, str(faults[0])]
    used = {f"{use.root}.{use.step}" if use.step else use.root for use in guard.read(text, html=False).uses}
    return found + [_("there is no variable '%(name)s'") % {"name": name} for name in sorted(used - allowed)]


def put(template: Template, locale: str, parts: Mapping[str, Any], *, whole: bool) -> None:
    """Write a variant into the template's draft (in memory). An e-mail takes subject and preheader; `whole` makes its
    page anew as well, in the house's layout, with a button that leads to the shop."""
    content = {**template.content}
    known = next((name for name in content if name.lower() == locale.lower()), locale)
    now = dict(content.get(known, {}))
    if template.channel != "email":
        now |= parts
    elif whole:
        now = {name: text for name, text in now.items() if name not in ("mjml", "html", "text")} | _page(
            template.klass, locale, parts
        )
    else:
        now |= {name: parts[name] for name in LINES}
    template.content = {**content, known: now}


def _page(klass: str, locale: str, parts: Mapping[str, Any]) -> dict[str, str]:
    words = {
        "subject": parts["subject"],
        "preheader": parts["preheader"],
        "heading": escaped(parts["heading"]),
        "paragraphs": [escaped(text) for text in parts["paragraphs"]],
        "button": {"text": escaped(parts["button"]), "url": "{{ brand.url }}"},
    }
    return compose({"klass": klass, "variants": {locale: words}}, locale)


def escaped(text: str) -> str:
    """Words as HTML, variables untouched."""
    done, at = [], 0
    for found in _TAG.finditer(text):
        done += [html.escape(text[at : found.start()], quote=False), found[0]]
        at = found.end()
    return "".join([*done, html.escape(text[at:], quote=False)])
