"""Back-tests in the admin: asking for one, watching it, stopping it, and reading what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from campaigns.admin import dry_runs
from campaigns.models import Journey, Rehearsal
from campaigns.rehearsal import run
from common import clock
from common.admin import LargePage, ReadOnly, complain, route, show
from common.params import Invalid
from messaging.models import Delivery
from messaging.reasons import in_words

# What was counted, in the order of the page, and in whose unit.
TOTALS: Mapping[str, tuple[Any, str]] = {
    "entered": (_("Entered"), ""),
    "held_out": (_("Held out"), ""),
    "refused": (_("Entries refused"), ""),
    "sent": (_("Messages sent"), ""),
    "converted": (_("Reached the goal"), ""),
    "coupons": (_("Benefits given"), ""),
    "points": (_("Points given"), ""),
    "cost": (_("Expected cost of benefits"), "money"),
}
PHASES: Mapping[str, Any] = {
    "": _("waits for a worker"),
    "past": _("takes in the past"),
    "walk": _("walks through the days"),
}


class AskForm(forms.ModelForm):  # type: ignore[type-arg]
    """How many days, people and looks."""

    class Meta:
        model = Rehearsal
        fields = ["days", "people", "step_minutes", "enter_present"]


@admin.register(Rehearsal)
class RehearsalAdmin(ReadOnly, LargePage):
    """Back-tests that were asked for, newest first."""

    hint = _("No back-test yet. A journey's page has a button for one: it walks the draft through days that have been.")
    list_display = ["asked_at", "the_journey", "the_state", "done", "days", "asked_by"]
    list_filter = [("journey", RelatedDropdownFilter), ("state", ChoicesDropdownFilter)]
    list_select_related = ["journey", "asked_by"]
    ordering = ["-id"]
    sortable_by: list[str] = []

    @route("ask/<int:journey>/", "campaigns.rehearse_journey", methods=("GET", "POST"))
    def ask(self, request: HttpRequest, journey: int) -> HttpResponse:
        """The wishes, and earlier back-tests of this journey."""
        row = get_object_or_404(Journey, pk=journey)
        form = AskForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                made = run.ask(row, now=clock.now(), by=request.user, **form.cleaned_data)
            except Invalid as error:
                complain(request, list(error.problems))
            except (ValidationError, run.TooMany) as error:
                complain(request, getattr(error, "messages", [str(error)]))
            else:
                return self.back(request, reverse("admin:campaigns_rehearsal_change", args=[made.pk]))
        earlier = row.rehearsals.order_by("-pk")[:10]
        return self.page(
            request,
            "admin/campaigns/rehearsal/ask.html",
            gettext("Back-test %(journey)s") % {"journey": row.title},
            journey=row,
            form=form,
            earlier=[{"row": one, "pill": show.state_of(one)} for one in earlier],
        )

    @route("dry/<int:journey>/", "campaigns.rehearse_journey", methods=("GET", "POST"))
    def dry(self, request: HttpRequest, journey: int) -> HttpResponse:
        """One person through the draft."""
        if not request.user.has_perm("segments.view_profile"):
            raise PermissionDenied
        row = get_object_or_404(Journey, pk=journey)
        title = gettext("Dry run of %(journey)s") % {"journey": row.title}
        return self.page(request, "admin/campaigns/rehearsal/dry.html", title, **dry_runs.seen(request, row))

    @route("<int:pk>/cancel/", "campaigns.rehearse_journey")
    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.find(request, pk)
        where = reverse("admin:campaigns_rehearsal_change", args=[pk])
        if run.cancel(row, now=clock.now(), by=request.user):
            return self.back(request, where, gettext("It is stopped; nothing of it is kept."))
        return self.back(request, where, gettext("It had ended already."), level=messages.WARNING)

    @route("<int:pk>/progress/", "campaigns.view_rehearsal", methods=("GET",))
    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far it is: an htmx fragment, which has the page loaded anew once it has ended."""
        row = self.find(request, pk)
        answer = TemplateResponse(request, "admin/campaigns/rehearsal/progress.html", _seen(row))
        if row.state not in ("queued", "running"):
            answer["HX-Refresh"] = "true"
        return answer

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """One back-test: its progress, or what came of it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = Rehearsal.objects.select_related("journey", "asked_by")
        row = rows.filter(pk=object_id).first() if object_id.isdecimal() else None
        if row is None:
            raise Http404
        title = gettext("Back-test of %(journey)s") % {"journey": row.journey.title}
        return self.page(
            request, "admin/campaigns/rehearsal/page.html", title, original=row, **_seen(row), **_told(row)
        )

    @admin.display(description=_("journey"))
    def the_journey(self, row: Rehearsal) -> SafeString | str:
        return show.page_of("campaigns_journey", row.journey_id, row.journey.title)

    @admin.display(description=_("state"))
    def the_state(self, row: Rehearsal) -> SafeString | str:
        return show.state_of(row)

    @admin.display(description=_("progress"))
    def done(self, row: Rehearsal) -> SafeString:
        return show.bar(round(100 * row.progress), 100)


def _seen(row: Rehearsal) -> dict[str, Any]:
    return {
        "row": row,
        "per_cent": round(100 * row.progress),
        "phase": PHASES.get(row.phase, row.phase),
        "waits": row.state in ("queued", "running"),
        "state_pill": show.state_of(row),
    }


def _told(row: Rehearsal) -> dict[str, Any]:
    """The result as the page shows it; nothing while there is none."""
    result = row.result
    if not result:
        return {"result": None}
    return {
        "result": result,
        "whole": result["people"]["sampled"] >= result["people"]["population"],
        "totals": [_total(name, result["totals"][name]) for name in TOTALS if name in result["totals"]],
        "days": _days(result["days"]),
        "steps": _steps(row, result["steps"]),
        "stopped": [_stopped(one) for one in result["messages"] if one["state"] != "accepted" and not one["ghost"]],
        "refusals": [(in_words(reason), n) for reason, n in _ranked(result["refusals"])],
        "mine": [(in_words(reason), n) for reason, n in _ranked(result["crowded"]["mine"])],
        "pushed": _ranked(result["crowded"]["others"]),
        "others": _ranked(result["others"]),
    }


def _total(name: str, found: Mapping[str, float]) -> dict[str, Any]:
    title, unit = TOTALS[name]
    write = show.money if unit == "money" else (lambda n: f"{n:,}")
    return {"title": title, **{key: write(round(value)) for key, value in found.items()}}


def _days(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each day with the width of its bar, in per cent of the busiest day."""
    top = max((sum(one["sent"].values()) for one in rows), default=0) or 1
    return [{**one, "all": sum(one["sent"].values()), "width": 100 * sum(one["sent"].values()) // top} for one in rows]


def _steps(row: Rehearsal, counted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """In the order of the flow, those that nobody reached as well."""
    nodes = row.draft.get("nodes", {})
    return [{"key": key, "type": node.get("type", ""), **counted.get(key, {})} for key, node in nodes.items()]


def _stopped(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, "because": in_words(one["reason"]) or "–", "pill": show.pill(one["state"], _word(one["state"]))}


def _word(state: str) -> Any:
    return Delivery.State(state).label


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: -pair[1])
