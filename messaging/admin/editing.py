"""Working on a template: what lint says while it is written, the draft as a person would get it, tests, publishing.

What is looked at may be the saved draft (whoever may see templates) or the text on the screen, not saved yet (whoever
may change them). A message is always shown on an opaque origin: no script runs in it and nothing of ours is reached.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext

from common import audit, clock
from common.admin import Page, complain, route
from common.params import Invalid
from messaging.admin.content import label_of, parse
from messaging.admin.frames import sandboxed
from messaging.channels import ChannelError
from messaging.linting import find_all
from messaging.lints import Finding, Severity
from messaging.models import Template
from messaging.publish import Unconfirmed, publish_template
from messaging.render import Rendered, RenderError
from messaging.render.words import translated
from messaging.trial import Reach, anybody, preview_as, reach_of, send_trial
from segments.models import Profile
from segments.people import NobodyFound, find_person

SEES = "segments.view_profile"  # the right without which a draft is tried with sample data alone
LONGEST_JSON = 60_000
HEADS = ("subject", "title", "preheader")


class EditorRoutes(Page):
    """Views for the admin of templates: lint, try, test and publish."""

    @route("<int:pk>/findings/", "messaging.view_template", methods=("GET",))
    def findings(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What lint says of the saved draft; an htmx fragment."""
        return self._told(request, self.find(request, pk), ())

    @route("lint/", "messaging.change_template")
    def lint(self, request: HttpRequest) -> HttpResponse:
        """What lint says of the text on the screen, in a list and at its fields; an htmx fragment."""
        boxes = [key.split(":", 2)[1:] for key in request.POST if key.startswith("content:") and key.count(":") == 2]
        return self._told(request, self._typed(request.POST), [(locale, part) for locale, part in boxes])

    def _told(self, request: HttpRequest, draft: Template, boxes: Sequence[tuple[str, str]]) -> HttpResponse:
        findings = find_all(draft)
        placed = {box: [one for one in findings if (one.locale, one.part) == box and not one.block] for box in boxes}
        counts = Counter(one.severity for one in findings)
        context = {
            "findings": [Told(one) for one in findings],
            "boxes": [(locale, part, [Told(one) for one in found]) for (locale, part), found in placed.items()],
            "tabs": [(locale, _worst(findings, locale)) for locale in dict.fromkeys(locale for locale, _part in boxes)],
            "errors": counts[Severity.ERROR],
            "warnings": counts[Severity.WARNING],
        }
        return TemplateResponse(request, "admin/messaging/template/findings.html", context)

    def _typed(self, data: QueryDict) -> Template:
        """The draft on the screen as a template that is not stored; what cannot be read is left out."""
        form: Any = self.draft_form(data, instance=Template())
        form.full_clean()
        kept = {name: form.cleaned_data[name] for name in form.cleaned_data if name in DRAFT}
        draft = Template(**kept)
        draft.content = parse(data, "content")
        return draft

    draft_form: Any = None

    @route("<int:pk>/frame/", "messaging.view_template", methods=("GET",))
    def frame(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The saved draft as one person would get it, wide and narrow, alone on a page that reaches nothing."""
        return shown(self.find(request, pk), asked(request, request.GET))

    @route("try/", "messaging.change_template")
    def try_out(self, request: HttpRequest) -> HttpResponse:
        """The same for the text on the screen."""
        return shown(self._typed(request.POST), asked(request, request.POST))

    @route("<int:pk>/test/", "messaging.testsend_template")
    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send the saved draft to an address, a person's devices or the account's group, outside the ledger: no cap
        counts it, no report shows it."""
        template, now, wish = self.find(request, pk), clock.now(), asked(request, request.POST)
        to, where = request.POST.get("to", "").strip()[:254], reverse("admin:messaging_template_change", args=[pk])
        hidden = reach_of(template.channel) is Reach.DEVICES and not request.user.has_perm(SEES)
        if trouble := wish.trouble or (gettext("To name a person takes the right to see people.") if hidden else ""):
            complain(request, [trouble])
            return self.back(request, where)
        try:
            said = send_trial(template, to=to, locale=wish.locale, profile=wish.person, now=now)
        except (RenderError, Invalid, ChannelError) as error:
            complain(request, list(getattr(error, "problems", [error])))
            return self.back(request, where)
        detail = {"locale": wish.locale}
        audit.record("template.test", f"template:{template.key}", now=now, actor=request.user, detail=detail)
        if said:
            complain(request, [said])
            return self.back(request, where)
        return self.back(request, where, gettext("The test message was handed to the provider."))

    @route("<int:pk>/publish/", "messaging.publish_template")
    def publish(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Freeze the saved draft as the next version, or say all that is wrong with it, or ask about warnings."""
        template, now = self.find(request, pk), clock.now()
        where = reverse("admin:messaging_template_change", args=[pk])
        try:
            confirmed = request.POST.getlist("confirmed")
            version = publish_template(template, now=now, by=request.user, confirmed=confirmed)
        except Unconfirmed as error:
            told = [Told(one) for one in error.warnings]
            title = gettext("Publish %(name)s") % {"name": template.title}
            page = "admin/messaging/template/publish.html"
            return self.page(request, page, title, original=template, findings=told, ask=error.ask)
        except Invalid as error:
            complain(request, list(error.problems))
            return self.back(request, where)
        said = gettext("Published as version %(n)s. Journeys use it from their next publication on.")
        return self.back(request, where, said % {"n": version.number})


DRAFT = frozenset({"key", "channel", "klass", "topic", "layout", "sample"})


@dataclass(frozen=True)
class Told:
    """A finding as the page shows it."""

    finding: Finding

    @property
    def where(self) -> str:
        """Language, part and line, as an operator calls them."""
        one = self.finding
        block = gettext("block '%(key)s'") % {"key": one.block} if one.block else ""
        return " · ".join(filter(None, [one.locale, label_of(one.part), block, self.line]))

    @property
    def line(self) -> str:
        return gettext("line %(line)s") % {"line": self.finding.line} if self.finding.line else ""

    @property
    def target(self) -> str:
        """The id of the box it is about, or nothing."""
        one = self.finding
        return f"id_content:{one.locale}:{one.part}" if one.locale and one.part and not one.block else ""


def _worst(findings: Sequence[Finding], locale: str) -> str:
    found = {one.severity for one in findings if one.locale == locale}
    return next((str(one) for one in Severity if one in found), "")


@dataclass(frozen=True)
class Wish:
    """For whom a draft is tried: a person or nobody, in a language, with variables laid over; or why it cannot be."""

    locale: str
    person: Profile | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""


def asked(request: HttpRequest, data: QueryDict) -> Wish:
    """What the form says about whom to try the draft on."""
    named, locale = data.get("person", "").strip()[:254], data.get("locale", "").strip()[:20]
    by_chance = bool(data.get("random"))
    if (named or by_chance) and not request.user.has_perm(SEES):
        return Wish(locale or "en", trouble=gettext("You may try a draft with sample data only, not as a person."))
    try:
        person = anybody(random.randint) if by_chance else _named(named)
        extra = _extra(data.get("json", ""))
    except ValueError as error:
        return Wish(locale or "en", trouble=str(error))
    return Wish(locale or (person.locale if person else "") or "en", person, extra)


def _named(text: str) -> Profile | None:
    """The person of an e-mail address or any other name; nobody for an empty one. Raises ValueError."""
    if not text:
        return None
    try:
        person = find_person(text)
    except NobodyFound:
        raise ValueError(gettext("Nobody, or more than one person, is known as “%(text)s”.") % {"text": text}) from None
    if person.merged_into_id or person.erased_at:
        raise ValueError(gettext("Nobody, or more than one person, is known as “%(text)s”.") % {"text": text})
    return person


def _extra(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        given = json.loads(text[:LONGEST_JSON])
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ValueError(gettext('The variables must be one JSON object, such as {"event": {"total": 4200}}.'))
    return given


def shown(template: Template, wish: Wish) -> HttpResponse:
    """The page in the frame: the mailbox line, the message wide and narrow, and its text."""
    context: dict[str, Any] = {"wish": wish, "problems": [wish.trouble] if wish.trouble else []}
    if not wish.trouble:
        try:
            context |= _pieces(preview_as(template, profile=wish.person, locale=wish.locale, extra=wish.extra))
        except Invalid as error:
            context["problems"] = error.problems
        except RenderError as error:
            context["problems"] = [translated(str(error))]
    return sandboxed(render_to_string("admin/messaging/template/frame.html", context))


def _pieces(rendered: Rendered) -> dict[str, Any]:
    parts = rendered.parts
    html = parts.get("html", "")
    texts = [(label_of(name), text) for name, text in parts.items() if name not in (*HEADS, "html") and text]
    return {
        "heads": [(name, label_of(name), parts[name]) for name in HEADS if parts.get(name)],
        "html": html,
        "size": round(len(html.encode("utf-8", "replace")) / 1000, 1),
        "texts": texts,
        "language": rendered.locale,
    }
