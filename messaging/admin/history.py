"""Versions of a template: who published what and when, what changed between any two, and the way back."""

from __future__ import annotations

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext

from common import clock
from common.admin import Page, complain, route
from common.params import Invalid
from messaging.admin.content import labelled
from messaging.models import Template, TemplateVersion
from messaging.publish import draft_of
from messaging.revisions import PartChange, compare, compare_texts, restore_version

DRAFT = "draft"


class HistoryRoutes(Page):
    """Views for the admin of templates: its versions side by side, and restoring one."""

    @route("<int:pk>/versions/", "messaging.view_template", methods=("GET",))
    def versions(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The list, and what two of them (or one and the draft) differ in."""
        template = self.find(request, pk)
        rows = list(template.versions.select_related("published_by").defer("content")[:200])
        left = _chosen(rows, request.GET.get("left", str(rows[0].number) if rows else ""))
        right = _chosen(rows, request.GET.get("right", DRAFT))
        before, after = _said(template, left), _said(template, right)
        return self.page(
            request,
            "admin/messaging/template/versions.html",
            gettext("Versions of %(name)s") % {"name": template.title},
            original=template,
            versions=rows,
            left=left,
            right=right,
            changes=labelled(_changes(before, after)) if before and after else None,
            kept=bool(before and after),
        )

    @route("<int:pk>/restore/", "messaging.change_template")
    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make an old version the draft again, unless somebody saved another meanwhile."""
        template, number = self.find(request, pk), request.POST.get("number", "")
        version = template.versions.filter(number=int(number)).first() if _small(number) else None
        if version is None:
            raise Http404
        revision = request.POST.get("revision", "")
        try:
            restore_version(
                version, revision=int(revision) if _small(revision) else -1, now=clock.now(), by=request.user
            )
        except Invalid as error:
            complain(request, list(error.problems))
            return self.back(request, reverse("admin:messaging_template_versions", args=[pk]))
        said = gettext("The draft says what version %(n)s said. Nothing is published by that.") % {"n": number}
        return self.back(request, reverse("admin:messaging_template_change", args=[pk]), said)


def _small(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 9


def _chosen(rows: list[TemplateVersion], text: str) -> TemplateVersion | None:
    """A version by its number; nothing means the draft."""
    return next((row for row in rows if str(row.number) == text), None)


def _said(template: Template, version: TemplateVersion | None) -> dict[str, Any]:
    return draft_of(template) if version is None else dict(version.draft)


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[PartChange]:
    """What differs: words by language and part, then the sample data and the layout."""
    found = compare(before.get("content") or {}, after.get("content") or {})
    for name in ("sample", "layout"):
        old, new = (_pretty(one.get(name)) for one in (before, after))
        if old != new:
            found.append(PartChange("", name, compare_texts(old, new)))
    return found


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value or {}, ensure_ascii=False, indent=2, sort_keys=True)
