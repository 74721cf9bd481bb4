"""Missions in the admin: the form speaks while it is filled in, and each mission shows how far people have come."""

from __future__ import annotations

from datetime import datetime
from types import UnionType
from typing import Any, get_args

from django import forms
from django.contrib import admin
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from common.admin import LargePage, NoDelete, Page, ReadOnly, route, show
from common.params import Invalid, read_params
from segments.admin.people import PANELS, Panel
from segments.growth.measures import Measure, in_order, measures
from segments.growth.missions import sentence
from segments.growth.standing import standing
from segments.models import Mission, MissionProgress, Profile

NAMES = ["key", "name", "name_zh"]
RULE = {"fact", "filter", "measure", "how", "target", "period", "repeats"}
PARAMETERS = {
    "property": (_("property to add up"), _("A number of the event; empty for its money, in minor units.")),
    "grace": (_("days of grace"), _("How many days a streak may miss; they do not count.")),
}


class MissionForm(forms.ModelForm):  # type: ignore[type-arg]
    """The measure, and beside it the parameters of every measure; those of the chosen one are taken."""

    measure = forms.ChoiceField(label=_("what is counted"), widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Mission
        fields = [*NAMES, "fact", "filter", "measure", "target", "period", "repeats", "points", "badge", "active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        language = get_language() or "en"
        chosen = self.fields["measure"]
        assert isinstance(chosen, forms.ChoiceField)
        chosen.choices = [(one.key, one.title(language)) for one in in_order()]
        for name, field in fields_of(language).items():
            self.fields[name] = field
            measure, _sep, parameter = name.partition("__")
            if measure == self.instance.measure and parameter in self.instance.how:
                field.initial = self.instance.how[parameter]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        key = data.get("measure", "")
        if key in measures:
            given = {name: data.get(f"{key}__{name}") for name in measures.get(key).Params.model_fields}
            try:
                params = read_params(measures.get(key).Params, {k: v for k, v in given.items() if v not in (None, "")})
            except Invalid as invalid:
                for problem in invalid.problems:
                    self.add_error(f"{key}__{problem.path}", str(problem))
            else:
                self.instance.how = params.model_dump(mode="json")
        return data


def fields_of(language: str) -> dict[str, forms.Field]:
    """A field for each parameter of each measure, by "measure__parameter"."""
    found: dict[str, forms.Field] = {}
    for measure in in_order():
        for name, info in measure.Params.model_fields.items():
            found[f"{measure.key}__{name}"] = _field(measure, name, info.annotation, language)
    return found


def _field(measure: Measure[Any], name: str, kind: Any, language: str) -> forms.Field:
    label, hint = PARAMETERS.get(name, (name, ""))
    said = {"label": f"{measure.title(language)}: {label}", "help_text": hint, "required": False}
    if int in (get_args(kind) if isinstance(kind, UnionType) else (kind,)):
        return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget, **said)  # type: ignore[arg-type]
    return forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget, **said)  # type: ignore[arg-type]


@admin.register(Mission)
class MissionAdmin(NoDelete, Page):
    """Tasks for people. A change of the rule starts new counters; the old ones stay."""

    form = MissionForm
    change_form_template = "admin/segments/mission/change_form.html"
    hint = _("A mission asks people to do something a number of times, and rewards it with points or a badge.")
    list_display = ["title", "task", "under_way", "completed", "active"]
    list_filter = [("active", BooleanRadioFilter), ("period", ChoicesDropdownFilter)]
    list_select_related = ["badge"]
    search_fields = ["key", "name", "name_zh", "fact"]
    prepopulated_fields = {"key": ["name"]}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        own = list(fields_of("en"))
        return [*NAMES, "fact", "filter", "measure", *own, "target", "period", "repeats", "points", "badge", "active"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The parameters are fields of the form, not of the model."""
        return super().get_form(request, obj, change, **{**kwargs, "fields": MissionForm.Meta.fields})

    def get_queryset(self, request: HttpRequest) -> Any:
        walking = Q(progress__completed_at=None, progress__count__gt=0)
        return (
            super()
            .get_queryset(request)
            .annotate(
                n_walking=Count("progress", filter=walking),
                n_done=Count("progress", filter=Q(progress__completed_at__isnull=False)),
            )
        )

    @route("sentence/", "segments.view_mission")
    def sentence(self, request: HttpRequest) -> HttpResponse:
        """What the form says so far, in both languages, or what is wrong with it."""
        form = self.get_form(request)(request.POST)
        form.is_valid()
        wrong = {name: errors for name, errors in form.errors.items() if name not in ("key", "name")}
        said = [] if wrong else [sentence(form.instance, language) for language in ("en", "zh-hans")]
        labels = [(form.fields[name].label if name in form.fields else "", each) for name, each in wrong.items()]
        return TemplateResponse(request, "admin/segments/mission/sentence.html", {"said": said, "wrong": labels})

    @admin.display(description=_("name"), ordering="name")
    def title(self, mission: Mission) -> str:
        return mission.title

    @admin.display(description=_("task"))
    def task(self, mission: Mission) -> str:
        return sentence(mission, get_language() or "en")

    @admin.display(description=_("under way"))
    def under_way(self, mission: Any) -> str:
        return f"{mission.n_walking:,}"

    @admin.display(description=_("completed"))
    def completed(self, mission: Any) -> str:
        return f"{mission.n_done:,}"

    def save_model(self, request: HttpRequest, obj: Mission, form: Any, change: bool) -> None:
        """What is counted is part of the version: counters of another rule must not be mixed."""
        if change:
            before = Mission.objects.get(pk=obj.pk)
            if any(getattr(before, name) != getattr(obj, name) for name in RULE):
                obj.version = before.version + 1
        super().save_model(request, obj, form, change)


@admin.register(MissionProgress)
class MissionProgressAdmin(ReadOnly, LargePage):
    """Who has come how far."""

    hint = _("Nobody is under way yet. Progress is counted from the first event after a mission is active.")
    list_display = ["person", "mission", "period", "bar", "times", "completed_at", "lapses_at"]
    list_filter = [("mission", RelatedDropdownFilter)]
    list_select_related = ["mission", "profile"]
    search_fields = ["=profile__email", "=profile__identities__value"]
    ordering = ["-id"]
    fields = list_display

    @admin.display(description=_("person"))
    def person(self, row: MissionProgress) -> SafeString | str:
        return show.page_of("segments_profile", row.profile_id, row.profile)

    @admin.display(description=_("progress"))
    def bar(self, row: MissionProgress) -> SafeString | str:
        return show.bar(row.count, row.mission.target)


def _standing(profile: Profile, now: datetime) -> dict[str, Any]:
    return {"standing": standing(profile, now, language=get_language() or "en"), "now": now}


PANELS.append(Panel(_("growth"), "admin/segments/profile/growth.html", _standing, "segments.view_profile"))
