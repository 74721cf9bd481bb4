"""Frozen versions as the renderer wants them, read once per process."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from jinja2 import TemplateSyntaxError

from messaging.channels import channels
from messaging.locales import choose
from messaging.models import TemplateVersion
from messaging.places import Place
from messaging.render.cell import guard
from messaging.render.cell.limits import Refused
from messaging.render.contract import RenderError
from messaging.render.kept import Source

KEPT = 256
WISHES = 100  # locales whose variant a version remembers


@dataclass(frozen=True)
class Variant:
    """One locale of a version: its compiled source, its places of links, which parts are HTML, and the keys of the
    feeds that it shows."""

    locale: str
    source: Source
    places: tuple[Place, ...]
    html: frozenset[str]
    feeds: frozenset[str] = frozenset()


class Version:
    """A version and its variants; nothing of it ever changes."""

    def __init__(self, pk: int, channel: str, klass: str, content: Mapping[str, Mapping[str, Any]]) -> None:
        self.id, self.channel, self.klass = pk, channel, klass
        self._content = content
        self._variants: dict[str, Variant] = {}
        self._chosen: dict[str, Variant] = {}

    def variant(self, wished: str) -> Variant:
        """The variant for a wish of locale. Raises RenderError when the version has none at all."""
        found = self._chosen.get(wished)
        if found is None:
            found = self._choose(wished)
            if len(self._chosen) < WISHES:  # people may wish for anything
                self._chosen[wished] = found
        return found

    def _choose(self, wished: str) -> Variant:
        locale = choose(self._content, wished)
        if locale is None:
            raise RenderError("this version has no content")
        if locale not in self._variants:
            self._variants[locale] = _variant(locale, self._content[locale], self.channel)
        return self._variants[locale]


_known: OrderedDict[int, Version] = OrderedDict()


def versions(ids: Iterable[int]) -> dict[int, Version]:
    """Versions by id, those that exist; one statement for those not seen before. What is read inside a
    transaction is not remembered, since that may still be rolled back."""
    wanted = set(ids)
    found = {pk: _known[pk] for pk in wanted if pk in _known}
    missing = wanted - found.keys()
    if missing:
        rows = TemplateVersion.objects.filter(pk__in=missing).values_list("pk", "channel", "klass", "content")
        read = {pk: Version(pk, channel, klass, content) for pk, channel, klass, content in rows}
        found |= read
        if not transaction.get_connection().in_atomic_block:
            _known.update(read)
            while len(_known) > KEPT:
                _known.popitem(last=False)
    return found


def of_content(channel: str, klass: str, content: Mapping[str, Mapping[str, Any]]) -> Version:
    """A version that is not stored: a draft to be tried."""
    return Version(0, channel, klass, content)


def _variant(locale: str, content: Mapping[str, Any], channel: str) -> Variant:
    html = html_parts(channel)
    parts = {name: (name in html, str(text)) for name, text in content.items() if name != "links"}
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    places = tuple(Place(**place) for place in content.get("links", ()))
    return Variant(locale, Source(key, parts), places, html, _feeds(parts))


def _feeds(parts: Mapping[str, tuple[bool, str]]) -> frozenset[str]:
    """What stands after `feeds.` in the parts; one that cannot be read has its error when it is compiled."""
    found: set[str] = set()
    for html, text in parts.values():
        if "feeds" in text:
            with suppress(TemplateSyntaxError, Refused):
                found |= {step for root, step in guard.read(text, html=html).paths if root == "feeds"}
    return frozenset(found)


def html_parts(channel: str) -> frozenset[str]:
    """The parts of a channel that are HTML; "html" is everywhere."""
    return (channels.get(channel).html if channel in channels else frozenset()) | {"html"}
