"""Journeys in the admin: the drawn flow with live counts, the draft and all its errors, and what may be done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from campaigns import overview
from campaigns import publish as verbs
from campaigns.flow import TRIGGER, Drawing, draw
from campaigns.graph import Graph, read_graph
from campaigns.models import Journey, JourneyVersion
from campaigns.steps import steps
from campaigns.triggers import triggers
from common import clock
from common.admin import NoDelete, Page, complain, reason_of, route, show
from common.admin.catalogue import blocks_of
from common.admin.widgets import read_json
from common.params import Invalid
from segments.models import Segment

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
class JourneyAdmin(NoDelete, Page):
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
        extra = {**(extra_context or {}), **(self._seen(journey) if journey else {})}
        return super().change_view(request, object_id, form_url, extra)

    def _seen(self, journey: Journey) -> dict[str, Any]:
        version = journey.live_version
        graph = version.graph if version else journey.draft
        return {
            "funnel": overview.funnel_of(journey),
            "drawing": _drawn(journey, graph),
            "drawn": gettext("version %(n)s, as it runs") % {"n": version.number} if version else gettext("the draft"),
            "changed": bool(version and _digest(journey) != version.digest),
            "versions": list(overview.versions_of(journey.pk)[:10]),
            "step_blocks": blocks_of(steps),
            "trigger_blocks": blocks_of(triggers),
            "state_pill": show.state_of(journey),
        }

    @route("flow/", "campaigns.view_journey", methods=("POST",))
    def preview_flow(self, request: HttpRequest) -> HttpResponse:
        """The drawing of a draft in the editor, before it is saved, with every problem; an htmx fragment."""
        graph, problems = _tried(request.POST.get("draft", ""))
        drawing = _plain(draw(graph, language=get_language() or "en"))
        return TemplateResponse(
            request, "admin/campaigns/journey/flow.html", {"drawing": drawing, "problems": problems, "fresh": True}
        )

    @route("<int:pk>/publish/", "campaigns.publish_journey", methods=("GET", "POST"))
    def publish(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First what would happen, then, by POST, publish."""
        journey = self.find(request, pk)
        where = reverse("admin:campaigns_journey_change", args=[pk])
        if request.method == "POST":
            enter = request.POST.get("enter_present") == "yes"
            if enter and not request.user.has_perm("campaigns.enrol_journey"):
                raise PermissionDenied
            publish = partial(verbs.publish, journey, now=clock.now(), by=request.user, enter_present=enter)
            return self._do(request, publish, where, gettext("The journey is live."))
        graph, problems = _checked(journey)
        audience = graph.trigger.audience(graph.trigger_params) if graph else ""
        present = Segment.objects.filter(key=audience).first() if audience else None
        if present:
            present.size = verbs.present_count(journey)
        return self.page(
            request,
            "admin/campaigns/journey/publish.html",
            gettext("Publish %(journey)s") % {"journey": journey.title},
            journey=journey,
            original=journey,
            problems=problems,
            present=present,
            under_way=overview.under_way_by_version(pk),
            drawing=_plain(draw(journey.draft, language=get_language() or "en")),
            holdout=f"{(journey.campaign.holdout if journey.holdout is None else journey.holdout) or 0:.0%}",
            proves=bool(journey.campaign.holdout if journey.holdout is None else journey.holdout),
            may_enrol=request.user.has_perm("campaigns.enrol_journey"),
            next_number=(journey.versions.count() + 1),
        )

    @route("<int:pk>/pause/", "campaigns.pause_journey")
    def pause(self, request: HttpRequest, pk: int) -> HttpResponse:
        journey, why = self.find(request, pk), reason_of(request)
        return self._move(request, pk, lambda: verbs.pause(journey, now=clock.now(), by=request.user, reason=why))

    @route("<int:pk>/resume/", "campaigns.resume_journey")
    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        journey, why = self.find(request, pk), reason_of(request)
        return self._move(request, pk, lambda: verbs.resume(journey, now=clock.now(), by=request.user, reason=why))

    @route("<int:pk>/archive/", "campaigns.archive_journey")
    def archive(self, request: HttpRequest, pk: int) -> HttpResponse:
        journey, why = self.find(request, pk), reason_of(request)
        return self._move(request, pk, lambda: verbs.archive(journey, now=clock.now(), by=request.user, reason=why))

    def _move(self, request: HttpRequest, pk: int, work: Callable[[], Any]) -> HttpResponse:
        where = reverse("admin:campaigns_journey_change", args=[pk])
        return self._do(request, work, where, gettext("Done: the journey's state has changed."))

    def _do(self, request: HttpRequest, work: Callable[[], Any], where: str, said: str) -> HttpResponse:
        """Do it and say so, or say everything that stands against it."""
        try:
            work()
        except Invalid as error:
            complain(request, list(error.problems))
            return self.back(request, where)
        except verbs.Forbidden as error:
            return self.back(request, where, str(error), level=messages.ERROR)
        return self.back(request, where, said)

    @route("<int:pk>/versions/<int:number>/", "campaigns.view_journey", methods=("GET",))
    def version(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """A frozen version: drawn, and as text."""
        journey = self.find(request, pk)
        version: JourneyVersion | None = overview.versions_of(pk).filter(number=number).first()
        if version is None:
            return self.back(request, reverse("admin:campaigns_journey_change", args=[pk]))
        title = gettext("%(journey)s, version %(n)s") % {"journey": journey.title, "n": number}
        return self.page(
            request,
            "admin/campaigns/journey/version.html",
            title,
            journey=journey,
            original=journey,
            version=version,
            drawing=_plain(draw(version.graph, language=get_language() or "en")),
            text=show.pretty(version.graph),
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


def _checked(journey: Journey) -> tuple[Graph | None, list[Any]]:
    """The draft as it would be published, or everything against it, also what only the database knows."""
    try:
        return verbs.check(journey), []
    except Invalid as error:
        return None, list(error.problems)


def _digest(journey: Journey) -> str:
    """The hash that publishing the draft now would give; "" when it cannot be published."""
    graph, _problems = _checked(journey)
    return verbs.digest_of(graph.dump()) if graph else ""


def _tried(text: str) -> tuple[dict[str, Any], list[Any]]:
    """What was typed as far as it can be drawn, and everything wrong with it."""
    try:
        raw = read_json(text)
    except ValidationError as error:
        return {}, list(error.messages)
    return (raw if isinstance(raw, dict) else {}), _read(raw)[1]


def _plain(drawing: Drawing) -> dict[str, Any]:
    return {"drawing": drawing, "boxes": [{"box": box} for box in drawing.boxes], "counts": False}


def _drawn(journey: Journey, graph: Any) -> dict[str, Any]:
    """The flow with the people who stand at each step now and those who came through."""
    here, through = overview.here_now(journey.pk), overview.came_through(journey.pk)
    drawing = draw(graph, language=get_language() or "en")
    where = reverse("admin:campaigns_enrolment_changelist")
    boxes = [
        {
            "box": box,
            "here": here.get(box.key, 0),
            "through": through.get(box.key, 0),
            "link": f"{where}?journey__id__exact={journey.pk}&node={box.key}&state__exact=active",
            "counted": box.key != TRIGGER,
        }
        for box in drawing.boxes
    ]
    return {"drawing": drawing, "boxes": boxes, "counts": True}
