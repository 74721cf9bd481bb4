"""The editor of a template's words: a tab per language, a box per part, and nothing that a person must escape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from common.admin.widgets import OwnTemplate
from common.text import has_poison
from messaging.channels import channels
from messaging.revisions import PartChange

LABELS = {
    "subject": _("Subject"),
    "preheader": _("Preheader (the line after the subject in the mailbox)"),
    "html": _("HTML"),
    "mjml": _("MJML (becomes HTML at publish)"),
    "text": _("Text (made from the HTML when empty)"),
    "title": _("Title"),
    "body": _("Text"),
    "url": _("Link"),
    "markdown": _("Markdown"),
    "topic": _("Topic"),
    "sample": _("Sample data"),
    "layout": _("Layout"),
}
LONG = frozenset({"html", "mjml", "text", "body", "markdown", "variables"})
LONGEST = 200_000


def label_of(part: str) -> str:
    """What an operator calls a part, without the explanation that its box has."""
    return re.split(r" \(|（", str(LABELS.get(part, part)))[0]


def labelled(changes: Iterable[PartChange]) -> list[dict[str, Any]]:
    """Changes as the page shows them, side by side under their names."""
    return [{"locale": one.locale, "part": one.part, "label": label_of(one.part), "rows": one.rows} for one in changes]


class ContentWidget(OwnTemplate, forms.Widget):
    """Tabs of languages with one box for each part; names are content:locale:part."""

    template_name = "admin/messaging/template/content.html"
    parts: Iterable[str] = ("subject", "preheader", "mjml", "html", "text")

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        content = value if isinstance(value, Mapping) else {}
        locales = spelt(content)
        tabs = [
            {"locale": locale, "boxes": [self._box(name, locale, part, content) for part in self._shown(content)]}
            for locale in locales
        ]
        return {"name": name, "tabs": tabs, "widget": {"name": name, "template_name": self.template_name}}

    def _shown(self, content: Mapping[str, Any]) -> list[str]:
        there = [part for parts in content.values() if isinstance(parts, Mapping) for part in parts]
        return list(dict.fromkeys([*self.parts, *there]))

    def _box(self, name: str, locale: str, part: str, content: Mapping[str, Any]) -> dict[str, Any]:
        words = content.get(locale, {})
        return {
            "name": f"{name}:{locale}:{part}",
            "locale": locale,
            "label": LABELS.get(part, part),
            "part": part,
            "long": part in LONG,
            "value": words.get(part, "") if isinstance(words, Mapping) else "",
        }

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, dict[str, str]]:
        """What was typed; empty parts and languages without words are left out."""
        return parse(data, name)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return not any(key.startswith(f"{name}:") for key in data)


def parse(data: Any, name: str) -> dict[str, dict[str, str]]:
    """What was typed into the boxes of this name; empty parts and languages without words are left out."""
    found: dict[str, dict[str, str]] = {}
    for key in data:
        stem, _colon, rest = key.partition(":")
        locale, colon, part = rest.partition(":")
        if stem == name and colon and data[key].strip():
            found.setdefault(locale, {})[part] = data[key].replace("\r\n", "\n")
    return found


def spelt(content: Mapping[str, Any]) -> list[str]:
    """The languages to show, as the content spells them: ours, and any other it has."""
    known = {one.lower(): one for one in content}
    ours = [known.pop(one.lower(), one) for one in settings.MESSAGE_LOCALES]
    return [*ours, *known.values()]


class ContentField(forms.Field):
    """{locale: {part: source}}."""

    widget = ContentWidget

    def clean(self, value: Any) -> Any:
        content: dict[str, dict[str, str]] = value or {}
        problems = [
            gettext("%(locale)s, %(part)s: it holds a character that cannot be stored.")
            % {"locale": locale, "part": part}
            for locale, parts in content.items()
            for part, text in parts.items()
            if has_poison(text) or len(text) > LONGEST
        ]
        if problems:
            raise ValidationError([ValidationError(problem) for problem in problems])
        return content


def parts_of(channel: str) -> list[str]:
    """The parts that a channel's messages have; for e-mail also the MJML that becomes its HTML."""
    if channel not in channels:
        return ["subject", "text"]
    parts = list(channels.get(channel).parts)
    return [*(part for part in parts if part != "html"), "mjml", "html"] if "html" in parts else parts
