"""A draft worked out once: blocks in place, read by the guard, pressed into parts, tried with its sample data.

Whoever publishes, previews or lints starts from here. Everything that keeps a draft from being built or rendered is a
finding with its place, told for all languages and parts at once; what cannot be read does not hide the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from jinja2 import TemplateSyntaxError

from common.params import Invalid, Problem
from messaging.blocks import Expanded, Library, Origin
from messaging.channels import channels
from messaging.lints import Finding, Part, Severity, Use
from messaging.models import Template
from messaging.render.cell import guard
from messaging.render.cell.limits import Refused
from messaging.render.contract import RenderError
from messaging.render.press.contract import Kind, Page
from messaging.render.pressed import build
from messaging.render.preview import preview, sample_of
from messaging.render.variables import ROOTS
from messaging.render.versions import html_parts, of_content
from messaging.render.words import translated

MARKUP = "mjml"  # an e-mail's html may be written in it
KNOWN = {
    "links": frozenset({"unsubscribe", "preferences", "view"}),
    "brand": frozenset({"name", "url", "address", "currency", "timezone"}),
}
ASKED = {"email": ("subject",), "inbox": ("title", "body")}


@dataclass
class Language:
    """One language of a draft: its sources with their blocks in place, what was read of each part, and what is wrong;
    `page` when it could be pressed, `rendered` when it could be rendered with the sample data."""

    locale: str
    sources: dict[str, Expanded] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    page: Page | None = None
    rendered: Mapping[str, str] = field(default_factory=dict)

    def note(self, message: str, part: str = "", line: int = 0) -> None:
        """Something is wrong here: an error, placed in the block where the line was written."""
        known = part in self.sources and line
        self.place(message, part, self.sources[part].origin(line) if known else ("", line))

    def place(self, message: str, part: str, origin: Origin) -> None:
        """The same, where the line was written."""
        block, line = origin
        said = Finding(Severity.ERROR, translated(message), self.locale, part, line, block)
        if said not in self.findings:
            self.findings.append(said)


@dataclass
class Worked:
    """A whole draft: what is wrong with it beside its words, and its languages in their order."""

    findings: list[Finding]
    languages: dict[str, Language]
    library: Library

    def every_finding(self) -> list[Finding]:
        return [*self.findings, *(one for language in self.languages.values() for one in language.findings)]

    def content(self) -> dict[str, Any]:
        """What a version freezes: the pressed parts of each language."""
        return {name: one.page.frozen() for name, one in self.languages.items() if one.page is not None}


def work(template: Template, *, only: str = "", tried: bool = True) -> Worked:
    """Work a draft out: all of it, or `only` one language as the content spells it; `tried` with its sample data."""
    library = Library.of(template)
    worked = Worked(list(_about(template)), {}, library)
    content = template.content if isinstance(template.content, dict) else {}
    for locale, sources in content.items():
        if only and locale != only:
            continue
        language = worked.languages[str(locale)] = Language(str(locale))
        if not _is_parts(sources):
            language.note(_("must be parts by name, each a text"))
        elif template.channel in channels:
            _work(template, language, sources, library)
            if tried:
                _try(template, language)
    return worked


def _about(template: Template) -> Iterator[Finding]:
    """What is wrong with the draft as a whole."""
    if template.channel not in channels:
        wrong = _("there is no channel '%(key)s'") % {"key": template.channel}
        yield Finding(Severity.ERROR, wrong, part="channel")
    if template.klass != "transactional" and template.topic is None:
        yield Finding(Severity.ERROR, _("is required, or people could not leave it"), part="topic")
    if not isinstance(template.content, dict) or not template.content:
        yield Finding(Severity.ERROR, _("has no words in any language"), part="content")


def _is_parts(sources: Any) -> bool:
    return isinstance(sources, dict) and all(isinstance(text, str) for text in sources.values())


def _work(template: Template, language: Language, sources: Mapping[str, str], library: Library) -> None:
    """Expand, read and press one language."""
    known, html = set(channels.get(template.channel).parts), {*html_parts(template.channel), MARKUP}
    allowed = {*known, MARKUP} if "html" in known else known
    readable: dict[str, str] = {}
    for name, source in sources.items():
        one = library.expand(source, part=name, locale=language.locale, layout=template.layout)
        language.sources[name] = one
        for origin, message in one.faults:
            language.place(message, name, origin)
        if name not in allowed:
            language.note(_("the channel has no such part"), name)
        faults = guard.check(one.text, html=name in html)
        for fault in faults:
            language.note(fault.message, name, fault.line)
        language.parts[name] = Part(one.text, name in html)
        if not faults and name in allowed:
            readable[name] = one.text
            _read(language, name, one.text, html=name in html, preheader="preheader" in allowed)
    _complete(template, language, sources)
    _press(template, language, readable)


def _read(language: Language, name: str, text: str, *, html: bool, preheader: bool) -> None:
    """The variables of a part; those that no message has are errors."""
    try:
        reading = guard.read(text, html=html)
    except (TemplateSyntaxError, Refused):  # the guard has said it
        return
    uses = tuple(Use(use.root, use.step, use.line, use.sure) for use in reading.uses)
    language.parts[name] = Part(text, html, uses)
    roots = ROOTS | {"preheader"} if preheader else ROOTS
    for use in uses:
        if use.root not in roots:
            said = {"name": use.root, "known": ", ".join(sorted(ROOTS))}
            language.note(_("there is no variable '%(name)s' (known: %(known)s)") % said, name, use.line)
        elif use.root in KNOWN and use.step and use.step not in KNOWN[use.root]:
            language.note(_("there is no variable '%(name)s'") % {"name": f"{use.root}.{use.step}"}, name, use.line)


def _complete(template: Template, language: Language, sources: Mapping[str, str]) -> None:
    """Whether all parts are there that the channel cannot do without."""
    for name in ASKED.get(template.channel, ()):
        if not sources.get(name, "").strip():
            language.note(_("is empty"), name)
    if template.channel != "email":
        return
    if "html" in sources and MARKUP in sources:
        language.note(_("is written twice: as HTML and as MJML"), "html")
    if not any(sources.get(name, "").strip() for name in ("html", MARKUP, "text")):
        language.note(_("has no body: write html, mjml or text"))


def _press(template: Template, language: Language, readable: Mapping[str, str]) -> None:
    channel = channels.get(template.channel)
    page = build(readable, Kind(html_parts(template.channel), channel.tracks_opens, brand_url(), language.locale))
    for name, seen in page.seen.items():
        part, links = language.parts[name], tuple(replace(one, fault=translated(one.fault)) for one in seen.links)
        language.parts[name] = replace(part, seen=replace(seen, links=links))
    placed = {(name, link.fault): link.line for name, seen in page.seen.items() for link in seen.links}
    for name, message in page.faults:
        language.note(message, name, placed.get((name, message), 0))
    language.page = page


def _try(template: Template, language: Language) -> None:
    """Render with the sample data, under the limits of a real send, what nothing is wrong with so far."""
    if language.page is None or language.findings:
        return
    draft = of_content(template.channel, template.klass, {language.locale: language.page.frozen()})
    try:
        sample = sample_of(template.sample, language.locale)
        language.rendered = preview(draft, locale=language.locale, context=sample).parts
    except RenderError as error:
        language.note(_("with the sample data: %(error)s") % {"error": translated(str(error))})


def brand_url() -> str:
    """The workspace's address, which stands for {{ brand.url }} in links."""
    return str(getattr(settings, "BRAND_URL", settings.PUBLIC_URL))


def problem_of(finding: Finding) -> Problem:
    """A finding as every other input of an operator is told: with its path."""
    if not finding.locale:
        return Problem(finding.part, finding.message)
    path = ".".join(filter(None, ["content", finding.locale, finding.part]))
    where = [_("block '%(key)s'") % {"key": finding.block}] if finding.block else []
    where += [_("line %(line)s") % {"line": finding.line}] if finding.line else []
    return Problem(path, ": ".join([*([", ".join(where)] if where else []), finding.message]))


def refuse(findings: Iterable[Finding]) -> None:
    """Raises Invalid with every error among the findings."""
    problems = [problem_of(one) for one in findings if one.severity == Severity.ERROR]
    if problems:
        raise Invalid(problems)
