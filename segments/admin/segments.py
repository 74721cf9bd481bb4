"""Segments in the admin: the rule with all its errors at once, its sentence, its count, and who is in it and why."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from common import audit, clock
from common.admin import LargePage, NoDelete, Page, ReadOnly, route, show
from common.admin.catalogue import blocks_of
from common.admin.widgets import read_json
from common.params import Invalid
from common.periods import zone
from common.states import ForbiddenMove, move
from segments import overview
from segments.models import Membership, Segment, SegmentRun
from segments.rules.compile import people
from segments.rules.explain import Reason, explain_many, sentence
from segments.rules.operators import At, operators
from segments.rules.order import prove_rule
from segments.rules.tree import Rule

SAMPLES = 10


class SegmentForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule is stored only when it can be asked; every mistake is told at once."""

    class Meta:
        model = Segment
        fields = ["name", "name_zh", "key", "description", "rule"]

    def clean_rule(self) -> Any:
        raw = self.cleaned_data["rule"]
        _rule, problems = read_rule(raw, key=self.instance.key or self.data.get("key", ""))
        if problems:
            raise ValidationError([ValidationError(problem) for problem in problems])
        return raw


@admin.register(Segment)
class SegmentAdmin(NoDelete, Page):
    """Groups of people by a rule. They are kept fresh by the engine; nobody is put in by hand."""

    hint = _("A segment is a question about people, such as “no order for 60 days”. Recipes bring some along.")
    form = SegmentForm
    list_display = ["title", "key", "people", "the_state", "freshness", "trouble"]
    list_filter = [("state", ChoicesDropdownFilter)]
    search_fields = ["key", "name", "name_zh"]
    ordering = ["-size", "key"]
    prepopulated_fields = {"key": ["name"]}
    change_form_template = "admin/segments/segment/change_form.html"
    fieldsets = [
        (None, {"fields": ["name", "name_zh", "key", "description"]}),
        (_("The rule"), {"fields": ["rule"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else self.prepopulated_fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"rule": {"all": []}, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: bool) -> None:
        """Another rule is a new number: the members are built anew, and that build fires nothing."""
        if change and "rule" in form.changed_data:
            obj.rule_number += 1  # as segments.refresh.change_rule does, with the other fields of the form
            obj.fire_on_build = False
        super().save_model(request, obj, form, change)
        if "rule" in form.changed_data:
            audit.record("segment.rule", f"segment:{obj.key}", now=clock.now(), actor=request.user, detail=obj.rule)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        segment = self.get_object(request, object_id)
        extra = {**(extra_context or {}), "blocks": blocks_of(operators), **(self._seen(segment) if segment else {})}
        return super().change_view(request, object_id, form_url, extra)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        extra = {**(extra_context or {}), "blocks": blocks_of(operators)}
        return super().add_view(request, form_url, extra)

    def _seen(self, segment: Segment) -> dict[str, Any]:
        history = overview.size_history(segment.pk, now=clock.now())
        rule, _problems = read_rule(segment.rule, key=segment.key)
        return {
            "said": sentence(rule, get_language() or "en") if rule else "",
            "chart": _chart(history) if len(history) > 1 else "",
            "runs": [_run(run) for run in overview.last_runs(segment.pk)],
            "members": overview.newest_members(segment.pk),
            "due": segment.rule_number != segment.built_number,
            "state_pill": show.state_of(segment),
        }

    @route("preview/", "segments.view_segment", methods=("POST",))
    def preview(self, request: HttpRequest) -> HttpResponse:
        """Sentence, count and ten people of a rule in the editor, before it is saved; an htmx fragment."""
        context: dict[str, Any] = {}
        try:
            raw = read_json(request.POST.get("rule", ""))
            rule, context["problems"] = read_rule(raw, key=request.POST.get("key", ""))
        except ValidationError as error:
            rule, context["problems"] = None, list(error.messages)
        if rule:
            context |= _counted(rule, get_language() or "en")
        return TemplateResponse(request, "admin/segments/segment/preview.html", context)

    @route("<int:pk>/rebuild/", "segments.rebuild_segment")
    def rebuild(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Build the members anew at the next look. It tells nobody unless the box was ticked."""
        segment, now = self.find(request, pk), clock.now()
        fires = request.POST.get("fires") == "yes"
        Segment.objects.filter(pk=pk).update(built_number=0, fire_on_build=fires)
        subject = f"segment:{segment.key}"
        audit.record("segment.rebuild", subject, now=now, actor=request.user, detail={"fires": fires})
        where = reverse("admin:segments_segment_change", args=[pk])
        return self.back(request, where, gettext("The segment is built anew at the next look."))

    @route("<int:pk>/state/", "segments.change_segment")
    def state(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Pause, archive or activate."""
        segment, to = self.find(request, pk), request.POST.get("to", "")
        where = reverse("admin:segments_segment_change", args=[pk])
        try:
            won = move(Segment.objects.filter(pk=pk), Segment.MOVES, to)
        except ForbiddenMove:
            won = 0
        if not won:
            return self.back(request, where, gettext("That is not possible in this state."))
        audit.record(f"segment.{to}", f"segment:{segment.key}", now=clock.now(), actor=request.user)
        return self.back(request, where, gettext("Done: the segment's state has changed."))

    @admin.display(description=_("name"), ordering="name")
    def title(self, segment: Segment) -> str:
        return segment.title

    @admin.display(description=_("people"), ordering="size")
    def people(self, segment: Segment) -> str:
        return f"{segment.size:,}"

    @admin.display(description=_("state"), ordering="state")
    def the_state(self, segment: Segment) -> SafeString | str:
        return show.state_of(segment)

    @admin.display(description=_("as of"), ordering="evaluated_at")
    def freshness(self, segment: Segment) -> Any:
        return segment.evaluated_at or "–"

    @admin.display(description=_("trouble"))
    def trouble(self, segment: Segment) -> SafeString | str:
        if segment.last_error:
            return show.pill("failed", _("failed"))
        return show.pill("running", _("build due")) if segment.rule_number != segment.built_number else "–"


@admin.register(Membership)
class MembershipAdmin(ReadOnly, LargePage):
    """Who is in which segment now."""

    hint = _("Nobody is in this segment.")
    list_display = ["person", "the_segment", "entered_at"]
    list_filter = [("segment", RelatedDropdownFilter)]
    list_select_related = ["profile", "segment"]
    ordering = ["-id"]
    sortable_by: list[str] = []
    list_display_links = None
    fields = ["person", "the_segment", "entered_at"]

    @admin.display(description=_("person"))
    def person(self, row: Membership) -> SafeString | str:
        return show.page_of("segments_profile", row.profile_id, row.profile)

    @admin.display(description=_("segment"))
    def the_segment(self, row: Membership) -> SafeString | str:
        return show.page_of("segments_segment", row.segment_id, row.segment.title)


@admin.register(SegmentRun)
class SegmentRunAdmin(ReadOnly, LargePage):
    """Every refresh: what it looked at, what changed, how long it took."""

    hint = _("No refresh has run yet: start the worker with its timetable (manage.py run).")
    list_display = ["started_at", "the_segment", "mode", "the_state", "candidates", "entered", "left", "size", "took"]
    list_filter = [
        ("segment", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("mode", ChoicesDropdownFilter),
    ]
    list_select_related = ["segment"]
    ordering = ["-id"]
    sortable_by: list[str] = []
    fields = [*list_display, "as_of", "finished_at", "error"]

    @admin.display(description=_("segment"))
    def the_segment(self, run: SegmentRun) -> SafeString | str:
        return show.page_of("segments_segment", run.segment_id, run.segment.title)

    @admin.display(description=_("state"))
    def the_state(self, run: SegmentRun) -> SafeString | str:
        return show.state_of(run)

    @admin.display(description=_("took"))
    def took(self, run: SegmentRun) -> str:
        return _took(run)


def read_rule(raw: Any, *, key: str = "") -> tuple[Rule | None, list[str]]:
    """The rule in `raw`, or every problem with it, also those that only the database knows."""
    try:
        return prove_rule(raw, key=key), []
    except Invalid as error:
        return None, [str(problem) for problem in error.problems]


def _counted(rule: Rule, language: str) -> dict[str, Any]:
    """How many now, and why ten of them."""
    at = At(now=clock.now(), zone=zone(settings.WORKSPACE_ZONE))
    found = people(rule, at)
    samples = list(found.order_by("-pk")[:SAMPLES])
    reasons = explain_many(rule, [one.pk for one in samples], at, language)
    return {
        "said": sentence(rule, language),
        "count": found.count(),
        "samples": [{"person": one, "why": _because(reasons.get(one.pk))} for one in samples],
    }


def _because(reason: Reason | None) -> list[str]:
    """The questions that were answered with yes."""
    if reason is None:
        return []
    return [part.sentence for part in reason.walk() if part.holds and not part.parts]


def _chart(history: list[tuple[Any, int]]) -> str:
    labels = [f"{at:%m-%d}" for at, _size in history]
    line = {
        "data": [size for _at, size in history],
        "borderColor": "var(--color-primary-600)",
        "backgroundColor": "var(--color-primary-600)",
        "displayYAxis": True,
        "tension": 0.3,
        "pointRadius": 2,
        "label": gettext("people"),
    }
    return json.dumps({"labels": labels, "datasets": [line]})


def _run(run: SegmentRun) -> dict[str, Any]:
    return {"run": run, "pill": show.state_of(run), "took": _took(run)}


def _took(run: SegmentRun) -> str:
    return f"{(run.finished_at - run.started_at).total_seconds():.2f} s" if run.finished_at else "–"
