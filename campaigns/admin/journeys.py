"""Journeys in the admin: the drawn flow with live counts, the draft and all its errors, and what may be done."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from campaigns import overview, review
from campaigns.admin.drawings import peopled, plain
from campaigns.admin.history import history_of
from campaigns.admin.publishing import Publishing
from campaigns.checking import digest_of_draft
from campaigns.flow import draw
from campaigns.graph import Graph, read_graph
from campaigns.linting import find_all
from campaigns.models import Journey
from campaigns.steps import steps
from campaigns.triggers import triggers
from common import clock
from common.admin import NoDelete, route, show
from common.admin.catalogue import blocks_of
from common.admin.widgets import read_json
from common.params import Invalid

STARTER: dict[str, Any] = {
    "trigger": {"type": "segment_entered", "params": {"segment": ""}},
    "start": "hello",
    "nodes": {
        "hello": {"type": "send", "params": {"template": ""}, "next": {"next": "done"}},
        "done": {"type": "exit", "params": {}},
    },
    "entry": {"reentry": "once"},
}


class JourneyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A draft is stored only when it is a flow that could run: every mistake is told at once."""

    class Meta:
        model = Journey
        fields = ["name", "name_zh", "key", "campaign", "description", "description_zh", "holdout", "draft"]

    def clean_draft(self) -> Any:
        draft = self.cleaned_data["draft"]
        try:
            read_graph(draft)
        except Invalid as error:
            raise ValidationError([ValidationError(str(problem)) for problem in error.problems]) from None
        return draft


@admin.register(Journey)
class JourneyAdmin(NoDelete, Publishing):
    """Journeys. Drafts are edited; what runs is a frozen version."""

    hint = _("No journey yet. The quickest start is a recipe: four complete journeys wait under Recipes.")
    form = JourneyForm
    list_display = ["title", "campaign", "the_state", "entered", "active", "sent", "converted", "last_entry_at"]
    list_filter = [("state", ChoicesDropdownFilter), ("campaign", RelatedDropdownFilter)]
    list_select_related = ["campaign"]
    search_fields = ["key", "name", "name_zh"]
    ordering = ["-created_at"]
    prepopulated_fields = {"key": ["name"]}
    list_before_template = "admin/campaigns/journey/before_list.html"
    change_form_template = "admin/campaigns/journey/change_form.html"
    fieldsets = [
        (None, {"fields": ["name", "name_zh", "key", "campaign", "holdout"]}),
        (_("What it is for"), {"fields": ["description", "description_zh"]}),
        (_("The draft"), {"fields": ["draft"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else self.prepopulated_fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"draft": STARTER, **super().get_changeform_initial_data(request)}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and getattr(obj, "state", "") != "archived"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list with its figures, read for the page's rows at once."""
        response = super().changelist_view(request, extra_context)
        shown = getattr(response, "context_data", {}).get("cl")
        if shown is not None:
            figures = overview.funnels_of(list(shown.result_list))
            for row in shown.result_list:
                row.figures = figures[row.pk]
        return response

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The form, with the drawn flow and the figures above it."""
        journey = self.get_object(request, object_id)
        extra = {**(extra_context or {}), **(self._seen(request, journey) if journey else {})}
        return super().change_view(request, object_id, form_url, extra)

    def _seen(self, request: HttpRequest, journey: Journey) -> dict[str, Any]:
        version, under_way = journey.live_version, overview.under_way_by_version(journey.pk)
        graph = version.graph if version else journey.draft
        return {
            "funnel": overview.funnel_of(journey),
            "drawing": peopled(journey, graph),
            "drawn": gettext("version %(n)s, as it runs") % {"n": version.number} if version else gettext("the draft"),
            "changed": bool(version and digest_of_draft(journey) != version.digest),
            "versions": list(overview.versions_of(journey.pk)[:10]),
            "step_blocks": blocks_of(steps),
            "trigger_blocks": blocks_of(triggers),
            "state_pill": show.state_of(journey),
            "findings": find_all(journey),
            "review": review.open_review(journey),
            "approved": review.approved(journey, digest_of_draft(journey)),
            "is_writer": review.who(request.user) in journey.editors,
            "transfers": list(journey.transfers.select_related("version")[:5]),
            "older": any(number != version.number for number, _n in under_way) if version else False,
            "history": history_of(journey),
        }

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Remember who wrote the draft; a review of what it was before is withdrawn."""
        super().save_model(request, obj, form, change)
        if not change or "draft" in form.changed_data:
            review.note_edit(obj, now=clock.now(), by=request.user)

    @route("flow/", "campaigns.view_journey", methods=("POST",))
    def preview_flow(self, request: HttpRequest) -> HttpResponse:
        """The drawing of a draft in the editor, before it is saved, with every problem; an htmx fragment."""
        graph, problems = _tried(request.POST.get("draft", ""))
        drawing = plain(draw(graph, language=get_language() or "en"))
        return TemplateResponse(
            request, "admin/campaigns/journey/flow.html", {"drawing": drawing, "problems": problems, "fresh": True}
        )

    @admin.display(description=_("name"), ordering="name")
    def title(self, journey: Journey) -> str:
        return journey.title

    @admin.display(description=_("state"), ordering="state")
    def the_state(self, journey: Journey) -> SafeString | str:
        return show.state_of(journey)

    @admin.display(description=_("entered"))
    def entered(self, journey: Any) -> str:
        return _figure(journey, "entered")

    @admin.display(description=_("under way"))
    def active(self, journey: Any) -> str:
        return _figure(journey, "active")

    @admin.display(description=_("sent"))
    def sent(self, journey: Any) -> str:
        return _figure(journey, "sent")

    @admin.display(description=_("converted"))
    def converted(self, journey: Any) -> str:
        return _figure(journey, "converted")


def _figure(journey: Any, name: str) -> str:
    figures = getattr(journey, "figures", None)
    return f"{getattr(figures, name):,}" if figures else "–"


def _read(draft: Any) -> tuple[Graph | None, list[Any]]:
    try:
        return read_graph(draft), []
    except Invalid as error:
        return None, list(error.problems)


def _tried(text: str) -> tuple[dict[str, Any], list[Any]]:
    """What was typed as far as it can be drawn, and everything wrong with it."""
    try:
        raw = read_json(text)
    except ValidationError as error:
        return {}, list(error.messages)
    return (raw if isinstance(raw, dict) else {}), _read(raw)[1]
