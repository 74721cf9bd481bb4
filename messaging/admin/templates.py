"""Templates in the admin: the list, and the editor's page around the form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, FieldTextFilter
from unfold.widgets import UnfoldAdminSelectWidget

from common import clock
from common.admin import NoDelete, Page, show
from messaging.admin.clicking import ClickRoutes
from messaging.admin.content import ContentField, parts_of, spelt
from messaging.admin.editing import EditorRoutes
from messaging.admin.gallery import GalleryRoutes
from messaging.admin.history import HistoryRoutes
from messaging.admin.saving import RevisionForm
from messaging.channels import channels
from messaging.models import Block, Template, TemplateVersion
from messaging.publish import draft_of
from messaging.render.reference import FILTERS, VARIABLES
from messaging.saves import saving
from messaging.trial import living, reach_of
from segments.models import EventProperty, Trait


class TemplateForm(RevisionForm):
    """The draft. It is checked for form here, for sense by the lints beside it and when it is published."""

    content = ContentField(label="", required=False)

    class Meta:
        model = Template
        fields = ["name", "name_zh", "key", "channel", "klass", "topic", "layout", "archived", "content", "sample"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "content" in self.fields:
            self.fields["content"].widget.parts = parts_of(self.initial.get("channel") or "email")


class DraftForm(TemplateForm):
    """The text on the screen, read and not stored."""

    checks = False


@admin.register(Template)
class TemplateAdmin(ClickRoutes, EditorRoutes, HistoryRoutes, GalleryRoutes, NoDelete, Page):
    """Messages in the making. What is sent is always a published version."""

    hint = _("No template yet. Recipes bring complete ones in both languages; or start with a subject and a text.")
    form = TemplateForm
    draft_form = DraftForm
    list_display = ["title", "key", "channel", "klass", "topic", "languages", "published", "updated_at"]
    list_filter = [
        ("channel", FieldTextFilter),
        ("klass", ChoicesDropdownFilter),
        ("archived", BooleanRadioFilter),
    ]
    list_select_related = ["topic"]
    search_fields = ["key", "name", "name_zh"]
    ordering = ["-updated_at"]
    prepopulated_fields = {"key": ["name"]}
    change_form_template = "admin/messaging/template/change_form.html"
    list_before_template = "admin/messaging/template/before_list.html"
    fieldsets = [
        (None, {"fields": ["name", "name_zh", "key", "channel", "klass", "topic", "layout", "archived"]}),
        (_("The words"), {"fields": ["content"]}),
        (_("Sample data"), {"fields": ["sample"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("versions")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else self.prepopulated_fields

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "channel":
            return forms.ChoiceField(
                label=capfirst(db_field.verbose_name),
                choices=[(key, key) for key, _channel in channels.items()],
                initial="email",
                widget=UnfoldAdminSelectWidget(),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        """Write the row, and keep what its draft says now."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        with saving(obj, now=clock.now(), by=request.user):
            super().save_model(request, obj, form, change)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        template = self.get_object(request, object_id)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **self._seen(template)})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        return super().add_view(request, form_url, {**(extra_context or {}), **self._seen(None)})

    def _seen(self, template: Template | None) -> dict[str, Any]:
        """What the page shows beside the form."""
        content = template.content if template else {}
        versions = TemplateVersion.objects.filter(template=template).select_related("published_by").defer("content")
        newest = versions.first() if template else None
        return {
            "people": living().order_by("-pk")[:8],
            "locales": spelt(content),
            "reach": str(reach_of(template.channel)) if template and template.channel in channels else "",
            "newest": newest,
            "changed": template is not None and _differs(template, newest),
            "variables": VARIABLES,
            "filters": FILTERS,
            "traits": Trait.objects.order_by("key").values_list("key", flat=True)[:60],
            "properties": EventProperty.objects.exclude(key="").order_by("event", "key").values("event", "key")[:60],
            "shared": Block.objects.filter(kind=Block.Kind.BLOCK, archived=False).order_by("key")[:60],
        }

    @admin.display(description=_("name"), ordering="name")
    def title(self, template: Template) -> str:
        return template.title

    @admin.display(description=_("languages"))
    def languages(self, template: Template) -> str:
        return ", ".join(template.content) or "–"

    @admin.display(description=_("version"))
    def published(self, template: Template) -> SafeString | str:
        numbers = [version.number for version in template.versions.all()]
        return show.pill("live", f"v{max(numbers)}") if numbers else show.pill("draft", _("draft"))


def _differs(template: Template, newest: TemplateVersion | None) -> bool:
    """Whether the draft says something else than what is sent."""
    if newest is None or not newest.draft:
        return newest is None or template.updated_at > newest.published_at
    return bool(newest.draft != draft_of(template))
