"""Versions of a template and saves of its draft: who, what and when, what changed between any two, and the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext

from common import clock
from common.admin import Page, complain, route
from common.params import Invalid
from messaging.admin.content import labelled
from messaging.models import Template, TemplateSave, TemplateVersion
from messaging.publish import draft_of
from messaging.revisions import PartChange, compare, compare_texts
from messaging.saves import restore_save, restore_version

DRAFT = "draft"
SHOWN = 200


@dataclass(frozen=True)
class State:
    """One state of a template that can be compared: "3" a version, "s12" a save of the draft, "draft" what it says."""

    key: str
    label: str
    said: Mapping[str, Any]


class HistoryRoutes(Page):
    """Views for the admin of templates: its versions and saves side by side, and restoring one."""

    @route("<int:pk>/versions/", "messaging.view_template", methods=("GET",))
    def versions(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The lists, and what two states differ in."""
        template = self.find(request, pk)
        versions = list(template.versions.select_related("published_by").defer("content")[:SHOWN])
        saves = list(template.saves.select_related("saved_by"))
        states = _states(template, versions, saves)
        first = str(versions[0].number) if versions else _save_key(saves[-1]) if saves else ""
        left = states.get(request.GET.get("left", first), states[DRAFT])
        right = states.get(request.GET.get("right", DRAFT), states[DRAFT])
        return self.page(
            request,
            "admin/messaging/template/versions.html",
            gettext("Versions of %(name)s") % {"name": template.title},
            original=template,
            versions=versions,
            saves=[(_save_key(one), one, _how(one)) for one in saves],
            states=states.values(),
            left=left,
            right=right,
            changes=labelled(_changes(left.said, right.said)) if left.said and right.said else None,
            kept=bool(left.said and right.said),
        )

    @route("<int:pk>/restore/", "messaging.change_template")
    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make an old version, or an earlier save, the draft again, unless somebody saved another meanwhile."""
        template, post = self.find(request, pk), request.POST
        version = template.versions.filter(number=_number(post, "number")).first()
        save = template.saves.filter(revision=_number(post, "save")).first()
        given: dict[str, Any] = {"revision": _number(post, "revision"), "now": clock.now(), "by": request.user}
        try:
            if version is not None:
                restore_version(version, **given)
                said = gettext("The draft says what version %(n)s said. Nothing is published by that.")
                said %= {"n": version.number}
            elif save is not None:
                restore_save(save, **given)
                said = gettext("The draft says what it said at save %(n)s. Nothing is published by that.")
                said %= {"n": save.revision}
            else:
                raise Http404
        except Invalid as error:
            complain(request, list(error.problems))
            return self.back(request, reverse("admin:messaging_template_versions", args=[pk]))
        return self.back(request, reverse("admin:messaging_template_change", args=[pk]), said)


def _number(post: QueryDict, name: str) -> int:
    """A small whole number of the form, or -1."""
    text = post.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else -1


def _save_key(save: TemplateSave) -> str:
    return f"s{save.revision}"


def _states(template: Template, versions: Sequence[TemplateVersion], saves: Sequence[TemplateSave]) -> dict[str, State]:
    """What can be chosen on either side: the draft, its saves, the versions; the newest first."""
    found = [State(DRAFT, gettext("the draft"), draft_of(template))]
    found += [
        State(_save_key(one), gettext("save %(n)s") % {"n": one.revision}, one.draft)
        for one in saves
        if one.revision != template.revision
    ]
    found += [State(str(one.number), f"v{one.number}", one.draft) for one in versions]
    return {one.key: one for one in found}


def _how(save: TemplateSave) -> str:
    """How the draft came to say it, in the reader's language."""
    if save.came_by == "copy":
        return gettext("approved copy was taken over")
    if save.came_by:
        from_save = save.came_by.removeprefix("save ")
        if from_save != save.came_by:
            return gettext("save %(n)s was restored") % {"n": from_save}
        return gettext("version %(n)s was restored") % {"n": save.came_by.removeprefix("v")}
    return gettext("written")


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PartChange]:
    """What differs: words by language and part, then the sample data and the layout."""
    found = compare(before.get("content") or {}, after.get("content") or {})
    for name in ("sample", "layout"):
        old, new = (_pretty(one.get(name)) for one in (before, after))
        if old != new:
            found.append(PartChange("", name, compare_texts(old, new)))
    return found


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value or {}, ensure_ascii=False, indent=2, sort_keys=True)
