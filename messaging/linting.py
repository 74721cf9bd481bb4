"""Everything that can be said about a draft before it is published: what keeps it from being built, and what the lints
find, in one list with places and severities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from messaging.channels._sms import measure
from messaging.drafts import Language, Worked, work
from messaging.lints import Count, Draft, Finding, Severity, Variant, lints
from messaging.models import Template
from messaging.render.preview import sample_of

SHORT = "sms"  # the channel whose texts are counted
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1}


def find_all(template: Template) -> list[Finding]:
    """Every finding of a draft, errors first, then by language, part and line. Nothing is stored."""
    return judged(template, work(template))


def judged(template: Template, worked: Worked) -> list[Finding]:
    """The findings of a draft that was worked out already."""
    draft = _draft(template, worked)
    found = list(worked.every_finding())
    for lint in lints.values():
        for one in lint.find(draft):
            found.append(replace(_placed(one, worked.languages.get(one.locale)), lint=lint.key))
    return sorted(_once(found), key=lambda one: _order(one, list(worked.languages)))


def _draft(template: Template, worked: Worked) -> Draft:
    return Draft(
        key=template.key,
        channel=template.channel,
        klass=template.klass,
        variants={name: _variant(template.channel, one) for name, one in worked.languages.items()},
        sample=_sample(template.sample),
        wanted=tuple(settings.MESSAGE_LOCALES),
        fallbacks=frozenset(worked.library.fallbacks),
    )


def _sample(given: Any) -> dict[str, Any]:
    return sample_of(given if isinstance(given, Mapping) else {}, "en")


def _variant(channel: str, language: Language) -> Variant:
    text = language.rendered.get("text", "")
    count = None
    if channel == SHORT and text:
        length = measure(text)
        count = Count(length.alphabet, length.units, length.segments)
    return Variant(language.locale, language.parts, language.rendered, count)


def _placed(finding: Finding, language: Language | None) -> Finding:
    """A line of the whole as a line of the block, or of the template, in which it was written."""
    if language is None or not finding.line or finding.part not in language.sources:
        return finding
    block, line = language.sources[finding.part].origin(finding.line)
    return replace(finding, block=block, line=line)


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """The same thing at the same place is said once, whoever found it, and with its line if one of them knows it."""
    kept: dict[tuple[str, str, str, str, int], Finding] = {}
    lined = {(one.locale, one.part, one.block, one.message) for one in findings if one.line}
    for one in findings:
        if not one.line and (one.locale, one.part, one.block, one.message) in lined:
            continue
        kept.setdefault((one.locale, one.part, one.block, one.message, one.line), one)
    return list(kept.values())


def _order(finding: Finding, locales: list[str]) -> tuple[int, int, str, int]:
    place = locales.index(finding.locale) if finding.locale in locales else len(locales) if finding.locale else -1
    return (_RANK[finding.severity], place, finding.part, finding.line)
