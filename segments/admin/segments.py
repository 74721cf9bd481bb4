"""Segments in the admin: the rule with all its errors at once, its sentence, its count, and who is in it and why."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from common import audit, clock
from common.admin import NoDelete, Page, show
from common.admin.widgets import read_json
from segments import overview
from segments.admin.builder import RuleField, drawn
from segments.admin.builder.problems import in_words, prove
from segments.admin.members import took
from segments.admin.rule_routes import RuleRoutes
from segments.admin.score_settings import ScoreSettings
from segments.admin.scores import ScoreRoutes
from segments.admin.segment_routes import SegmentRoutes, is_due
from segments.models import Segment, SegmentRun
from segments.overlaps import run_under_way
from segments.refresh import give_rule
from segments.refresh.words import why_in_words
from segments.rules.explain import sentence
from segments.rules.order import hold_rules


class SegmentForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule is stored only when it can be asked; every mistake is told at once."""

    class Meta:
        model = Segment
        fields = ["name", "name_zh", "key", "description", "rule"]

    rule = RuleField(label="")
    seen = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)  # the rule that was on the screen

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["seen"] = self.instance.rule_number

    def clean_seen(self) -> Any:
        """Whoever saves second is told; saving once more then is meant."""
        seen = self.cleaned_data["seen"]
        rows = Segment.objects.filter(pk=self.instance.pk).select_for_update(no_key=True)
        number = rows.values_list("rule_number", flat=True).first()
        if seen is not None and number is not None and seen != number:
            again: Any = self.data.copy()  # type: ignore[attr-defined]
            again["seen"] = str(number)
            self.data = again
            raise ValidationError(
                gettext("Somebody saved this while you were writing. Yours is not saved yet; it stands below.")
            )
        return seen

    def clean_rule(self) -> Any:
        raw = self.cleaned_data["rule"]
        hold_rules()
        _rule, problems = prove(raw, key=self.instance.key or self.data.get("key", ""))
        if problems:
            said = [f"{one.path}: {in_words(one.message)}".removeprefix(": ") for one in problems]
            raise ValidationError([ValidationError(problem) for problem in said])
        return raw


@admin.register(Segment)
class SegmentAdmin(RuleRoutes, SegmentRoutes, ScoreRoutes, ScoreSettings, NoDelete, Page):
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
        (_("The rule"), {"fields": ["rule", "seen"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only read is shown the rule's outline in place of its boxes."""
        return self.fieldsets if obj is None or self.has_change_permission(request, obj) else self.fieldsets[:1]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else self.prepopulated_fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The rule, name and key that another page hands over in the address, such as one RFM cell."""
        given = super().get_changeform_initial_data(request)
        try:
            rule = read_json(str(given["rule"])) if "rule" in given else {"all": []}
        except ValidationError:
            rule = {"all": []}
        return {**given, "rule": rule}

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: bool) -> None:
        """Another rule is a new number: the members are built anew, and that build fires nothing. Only what the form
        holds is written: a refresh may have moved the rest meanwhile."""
        if change:
            fresh = give_rule(obj, obj.rule) if "rule" in form.changed_data else []
            obj.save(update_fields=["name", "name_zh", "description", *fresh])
        else:
            super().save_model(request, obj, form, change)
        if "rule" in form.changed_data:
            audit.record("segment.rule", f"segment:{obj.key}", now=clock.now(), actor=request.user, detail=obj.rule)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        segment = self.get_object(request, object_id)
        extra = {**(extra_context or {}), **(self._seen(request, segment) if segment else {})}
        return super().change_view(request, object_id, form_url, extra)

    def _seen(self, request: HttpRequest, segment: Segment) -> dict[str, Any]:
        history = overview.size_history(segment.pk, now=clock.now())
        rule, _problems = prove(segment.rule, key=segment.key)
        return {
            "said": sentence(rule, get_language() or "en") if rule else "",
            "root": None if self.has_change_permission(request) or rule is None else drawn(segment.rule, ()),
            "chart": _chart(history) if len(history) > 1 else "",
            "runs": [_run(run) for run in overview.last_runs(segment.pk)],
            "members": overview.newest_members(segment.pk),
            "rule_given": json.dumps({"rule": json.dumps(segment.rule), "key": segment.key}),
            "due": is_due(segment),
            "segment": segment,
            "run": run_under_way(segment.pk),
            "state_pill": show.state_of(segment),
        }

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
        return show.pill("running", _("build due")) if is_due(segment) else "–"


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
    return {"run": run, "pill": show.state_of(run), "took": took(run), "why": why_in_words(run)}
