"""Publishing a template: every problem told at once, or one frozen version that any number of sends may pin.

What can be done once is done here: MJML, CSS, places of links, the text part. What is stored is what the render
child compiles; the same reading of the source guards the draft at save, preview, publish and send.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _
from jinja2 import TemplateSyntaxError

from common.audit import record
from common.params import Invalid, Problem
from messaging.channels import channels
from messaging.locales import choose
from messaging.models import Template, TemplateVersion
from messaging.render.cell import guard
from messaging.render.cell.limits import Refused
from messaging.render.contract import Rendered, RenderError
from messaging.render.press.contract import Kind, Page
from messaging.render.pressed import build
from messaging.render.preview import preview, sample_of
from messaging.render.variables import ROOTS
from messaging.render.versions import Version, html_parts, of_content

MARKUP = "mjml"  # an e-mail's html may be written in it
UNSUBSCRIBE = ("links", "unsubscribe")
KNOWN = {
    "links": frozenset({"unsubscribe", "preferences", "view"}),
    "brand": frozenset({"name", "url", "address", "currency"}),
}
ASKED = {"email": ("subject",), "inbox": ("title", "body")}


def publish_template(template: Template, *, now: datetime, by: Any = None) -> TemplateVersion:
    """Freeze the draft as the next version. A draft that says what the latest version says gives that one.

    Raises Invalid with all problems; then nothing is stored.
    """
    content = compile_template(template)
    topic = template.topic.key if template.topic else ""
    digest = digest_of(template.channel, template.klass, topic, content)
    with transaction.atomic():
        Template.objects.select_for_update(no_key=True).get(pk=template.pk)
        latest = template.versions.order_by("-number").first()
        if latest is not None and latest.digest == digest:
            return latest
        number = (template.versions.aggregate(last=Max("number"))["last"] or 0) + 1
        version = TemplateVersion.objects.create(
            template=template,
            number=number,
            channel=template.channel,
            klass=template.klass,
            topic=topic,
            content=content,
            digest=digest,
            published_at=now,
            published_by=by if getattr(by, "pk", None) else None,
        )
        record("template.published", f"template:{template.key}", now=now, actor=by, detail={"version": number})
    return version


def compile_template(template: Template) -> dict[str, Any]:
    """The content of a version: {locale: {part: source, "links": [places]}}.

    Raises Invalid with all problems: those of the draft as it stands, of its markup, and of its words with the sample
    data, whichever other ones there are.
    """
    problems = check_template(template)
    content, sound = {}, {}
    for locale, sources in _readable(template).items():
        page = _build(template, locale, sources, problems)
        content[locale] = page.frozen()
        if not page.faults and not any(_check_words(template, locale, template.content[locale])):
            sound[locale] = content[locale]
    problems += _try(template, sound)
    if problems:
        raise Invalid(problems)
    return content


def preview_template(template: Template, *, locale: str, context: Mapping[str, Any] | None = None) -> Rendered:
    """The draft as a person would get it (`context` as in RenderJob), or with its sample data; nothing is stored.

    Raises Invalid with all problems of the draft, RenderError when this person's data do not suffice.
    """
    problems, readable = check_template(template), _readable(template)
    chosen = choose(readable, locale) or locale
    page = _build(template, chosen, readable[chosen], problems) if chosen in readable else None
    if page is None or problems:
        raise Invalid(problems)
    draft = of_content(template.channel, template.klass, {chosen: page.frozen()})
    data = sample_of(template.sample, locale) if context is None else context
    return preview(draft, locale=locale, context=data)


def check_template(template: Template) -> list[Problem]:
    """Every problem that can be seen without building or rendering; asked at save too. Compiles nothing."""
    problems = []
    if template.channel not in channels:
        problems.append(Problem("channel", _("there is no channel '%(key)s'") % {"key": template.channel}))
    if template.klass != "transactional" and template.topic is None:
        problems.append(Problem("topic", _("is required, or people could not leave it")))
    if not isinstance(template.content, dict) or not template.content:
        return [*problems, Problem("content", _("has no words in any language"))]
    for locale, sources in template.content.items():
        problems += _check_words(template, locale, sources)
        problems += _check_leaving(template, locale, sources)
    return problems


def _readable(template: Template) -> dict[str, dict[str, str]]:
    """What can be built: by locale the parts that the channel has and that the guard lets through."""
    if template.channel not in channels or not isinstance(template.content, dict):
        return {}
    allowed, html = _allowed(template), _html(template)
    return {
        locale: {n: text for n, text in sources.items() if n in allowed and not guard.check(text, html=n in html)}
        for locale, sources in template.content.items()
        if _is_parts(sources)
    }


def _is_parts(sources: Any) -> bool:
    return isinstance(sources, dict) and all(isinstance(text, str) for text in sources.values())


def _allowed(template: Template) -> set[str]:
    """The parts that may be written; an e-mail's HTML also as MJML."""
    known = set(channels.get(template.channel).parts)
    return {*known, MARKUP} if "html" in known else known


def _html(template: Template) -> set[str]:
    return {*html_parts(template.channel), MARKUP}


def _check_words(template: Template, locale: str, sources: Any) -> Iterator[Problem]:
    """What is wrong with one locale's parts, so that they cannot be built or rendered."""
    path = f"content.{locale}"
    if not _is_parts(sources):
        yield Problem(path, _("must be parts by name, each a text"))
        return
    allowed, html = _allowed(template) if template.channel in channels else set(sources), _html(template)
    preheader = "preheader" in allowed
    for name, source in sources.items():
        if name not in allowed:
            yield Problem(f"{path}.{name}", _("the channel has no such part"))
        faults = guard.check(source, html=name in html)
        yield from (Problem(f"{path}.{name}", str(fault)) for fault in faults)
        if not faults:
            yield from _check_variables(f"{path}.{name}", source, html=name in html, preheader=preheader)
    yield from _check_parts(template, path, sources)


def _check_parts(template: Template, path: str, sources: Mapping[str, str]) -> Iterator[Problem]:
    for name in ASKED.get(template.channel, ()):
        if not sources.get(name, "").strip():
            yield Problem(f"{path}.{name}", _("is empty"))
    if template.channel != "email":
        return
    if "html" in sources and MARKUP in sources:
        yield Problem(f"{path}.html", _("is written twice: as HTML and as MJML"))
    if not _bodies(sources):
        yield Problem(path, _("has no body: write html, mjml or text"))


def _bodies(sources: Mapping[str, str]) -> list[str]:
    return [name for name in ("html", MARKUP, "text") if sources.get(name, "").strip()]


def _check_leaving(template: Template, locale: str, sources: Any) -> Iterator[Problem]:
    """Whether every body of a marketing mail lets its reader leave; it would render without."""
    if template.channel != "email" or template.klass != "marketing" or not _is_parts(sources):
        return
    for name in _bodies(sources):
        if not _names(sources[name], UNSUBSCRIBE, html=name != "text"):
            yield Problem(f"content.{locale}.{name}", _("has no unsubscribe link: {{ links.unsubscribe }}"))


def _names(source: str, step: tuple[str, str], *, html: bool) -> bool:
    try:
        return step in guard.read(source, html=html).paths
    except (TemplateSyntaxError, Refused):
        return True  # said elsewhere


def _check_variables(path: str, source: str, *, html: bool, preheader: bool) -> Iterator[Problem]:
    reading = guard.read(source, html=html)
    known = ROOTS | {"preheader"} if preheader else ROOTS
    for name in sorted(reading.variables - known):
        said = {"name": name, "known": ", ".join(sorted(ROOTS))}
        yield Problem(path, _("there is no variable '%(name)s' (known: %(known)s)") % said)
    for root, step in sorted(reading.paths):
        if root in KNOWN and step not in KNOWN[root]:
            yield Problem(path, _("there is no variable '%(name)s'") % {"name": f"{root}.{step}"})


def _build(template: Template, locale: str, sources: Mapping[str, str], problems: list[Problem]) -> Page:
    """One locale worked into frozen parts; what is wrong goes to `problems`."""
    channel = channels.get(template.channel)
    page = build(sources, Kind(html_parts(template.channel), channel.tracks_opens, brand_url(), locale))
    problems += [Problem(f"content.{locale}.{part}", message) for part, message in page.faults]
    return page


def brand_url() -> str:
    """The workspace's address, which stands for {{ brand.url }} in links."""
    return str(getattr(settings, "BRAND_URL", settings.PUBLIC_URL))


def _try(template: Template, content: Mapping[str, Any]) -> Iterator[Problem]:
    """Render every locale with the sample data, under the limits of a real send."""
    draft: Version = of_content(template.channel, template.klass, content)
    for locale in content:
        try:
            preview(draft, locale=locale, context=sample_of(template.sample, locale))
        except RenderError as error:
            yield Problem(f"content.{locale}", _("with the sample data: %(error)s") % {"error": error})


def digest_of(channel: str, klass: str, topic: str, content: Mapping[str, Any]) -> str:
    """The content hash of a version; approvals are bound to it."""
    said = json.dumps([channel, klass, topic, content], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
