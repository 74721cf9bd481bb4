"""Publishing a template: every problem told at once, or one frozen version that any number of sends may pin.

What can be done once is done here: blocks, MJML, CSS, places of links, the text part. What is stored is what the render
child compiles; the same reading of the source guards the draft at save, preview, publish and send.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from common.audit import record
from common.params import Invalid, Problem
from messaging.drafts import problem_of, refuse, work
from messaging.linting import find_all, judged
from messaging.lints import Finding, Severity
from messaging.locales import choose
from messaging.models import Template, TemplateVersion
from messaging.render.contract import Rendered
from messaging.render.preview import preview, sample_of
from messaging.render.versions import of_content


class Unconfirmed(Invalid):
    """Nothing keeps the draft from being published, but a person has not said yes to every warning. `warnings` are
    all of them, and `ask` what a person says yes to."""

    def __init__(self, warnings: list[Finding]) -> None:
        self.warnings = warnings
        self.ask = ask_of(warnings)
        super().__init__([problem_of(one) for one in warnings])


def publish_template(
    template: Template, *, now: datetime, by: Any = None, confirmed: Collection[str] | None = None
) -> TemplateVersion:
    """Freeze the draft as the next version. A draft that says what the latest version says gives that one.

    `confirmed` are the warnings that a person has said yes to (`ask_of`); None, for programs, says yes to all. Raises
    Invalid with all errors, Unconfirmed with all warnings; then nothing is stored.
    """
    worked = work(template)
    findings = judged(template, worked)
    refuse(findings)
    warnings = [one for one in findings if one.severity == Severity.WARNING]
    if confirmed is not None and not set(ask_of(warnings)) <= set(confirmed):
        raise Unconfirmed(warnings)
    content = worked.content()
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
            draft=draft_of(template),
            blocks=worked.library.digests(),
            digest=digest,
            published_at=now,
            published_by=by if getattr(by, "pk", None) else None,
        )
        detail = {"version": number, "warnings": len(warnings)}
        record("template.published", f"template:{template.key}", now=now, actor=by, detail=detail)
    return version


def ask_of(warnings: Collection[Finding]) -> list[str]:
    """Each warning as a short hash of what it says and where: another text asks again."""
    said = [f"{one.locale}|{one.part}|{one.block}|{one.lint}|{one.message}" for one in warnings]
    return [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16] for text in said]


def draft_of(template: Template) -> dict[str, Any]:
    """What an author had written, as a version keeps it."""
    return {
        "content": template.content,
        "sample": template.sample,
        "layout": template.layout.key if template.layout else "",
    }


def compile_template(template: Template) -> dict[str, Any]:
    """The content of a version: {locale: {part: source, "links": [places]}}.

    Raises Invalid with all problems that keep it from being built or rendered: those of the draft as it stands, of its
    blocks and markup, and of its words with the sample data, whichever other ones there are.
    """
    worked = work(template)
    refuse(worked.every_finding())
    return worked.content()


def preview_template(template: Template, *, locale: str, context: Mapping[str, Any] | None = None) -> Rendered:
    """The draft as a person would get it (`context` as in RenderJob), or with its sample data; nothing is stored.

    Raises Invalid with all problems that keep this language from being built, RenderError when this person's data do
    not suffice.
    """
    content = template.content if isinstance(template.content, dict) else {}
    chosen = choose(content, locale)
    worked = work(template, only=chosen or "", tried=False)
    language = worked.languages.get(chosen or "")
    if language is None or language.page is None or language.findings:
        refuse(one for one in worked.every_finding() if one.part != "topic")
        raise Invalid([Problem("content", _("has no words in any language"))])
    draft = of_content(template.channel, template.klass, {language.locale: language.page.frozen()})
    data = sample_of(template.sample, locale) if context is None else context
    return preview(draft, locale=locale, context=data)


def check_template(template: Template) -> list[Problem]:
    """Every problem that keeps a draft from being published."""
    return [problem_of(one) for one in find_all(template) if one.severity == Severity.ERROR]


def digest_of(channel: str, klass: str, topic: str, content: Mapping[str, Any]) -> str:
    """The content hash of a version; approvals are bound to it."""
    said = json.dumps([channel, klass, topic, content], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
