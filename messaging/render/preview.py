"""Trying a template, draft or published, with a person's or sample data: nothing is stored, counted or tracked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from messaging.feed.known import known
from messaging.links import Target
from messaging.models import TemplateVersion
from messaging.render import kept
from messaging.render.contract import Rendered, RenderError, RenderJob
from messaging.render.finish import finish
from messaging.render.variables import as_json
from messaging.render.versions import Version, of_content

SAMPLE: dict[str, Any] = {
    "profile": {"first_name": "Mei", "last_name": "Lin", "email": "mei@example.com", "locale": "en", "city": "Suzhou"},
    "journey": {"key": "sample", "node": "sample"},
    "points": {"balance": 120},
    "level": {"key": "silver", "name": "Silver", "rank": 2},
}


def preview(version: Version | TemplateVersion, *, locale: str, context: Mapping[str, Any]) -> Rendered:
    """The message with plain links: destinations as written, our own pages as "#". Raises RenderError."""
    if isinstance(version, TemplateVersion):
        version = of_content(version.channel, version.klass, version.content)
    variant = version.variant(locale)
    if variant.feeds:
        said = known(variant.feeds, {**context, "locale": locale}, samples=True)
        context = {**context, "feeds": {**said, **context.get("feeds", {})}}
    answer = kept.render({variant.source.key: variant.source}, [(variant.source.key, as_json(context, locale))])[0]
    if "error" in answer:
        raise RenderError(answer["error"])
    job = RenderJob(0, "", version.id, locale, context)
    targets = tuple(Target(0, place.url, False, {}) for place in variant.places)
    return finish(answer["done"], job, version, variant, targets, trial=True)


def sample_of(given: Mapping[str, Any], locale: str) -> dict[str, Any]:
    """Sample data: the template's own, over ours; the person speaks the locale."""
    merged: dict[str, Any] = dict(SAMPLE)
    for name, value in given.items():
        ours = merged.get(name)
        merged[name] = {**ours, **value} if isinstance(ours, dict) and isinstance(value, Mapping) else value
    merged["profile"] = {**merged["profile"], "locale": locale}
    return merged
