"""Templates in the admin: words per language, a preview as any person, a test send, and frozen versions."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, FieldTextFilter
from unfold.widgets import UnfoldAdminSelectWidget

from common import audit, clock
from common.admin import NoDelete, Page, complain, route, show
from common.params import Invalid
from messaging.admin.content import LABELS, ContentField, parts_of, spelt
from messaging.admin.frames import SANDBOX
from messaging.admin.gallery import GalleryRoutes
from messaging.channels import ChannelError, channels
from messaging.models import Template, TemplateVersion
from messaging.publish import publish_template
from messaging.render import Rendered, RenderError
from messaging.trial import preview_as, send_trial
from segments.models import Profile


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """The draft. It is checked for form here and for sense when it is published."""

    content = ContentField(label=_("Content"), required=False)

    class Meta:
        model = Template
        fields = ["name", "name_zh", "key", "channel", "klass", "topic", "archived", "content", "sample"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "content" in self.fields:
            self.fields["content"].widget.parts = parts_of(self.initial.get("channel") or "email")


@admin.register(Template)
class TemplateAdmin(GalleryRoutes, NoDelete, Page):
    """Messages in the making. What is sent is always a published version."""

    hint = _("No template yet. Recipes bring complete ones in both languages; or start with a subject and a text.")
    form = TemplateForm
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
        (None, {"fields": ["name", "name_zh", "key", "channel", "klass", "topic", "archived"]}),
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

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        template = self.get_object(request, object_id)
        extra = {**(extra_context or {}), **(self._seen(template) if template else {})}
        return super().change_view(request, object_id, form_url, extra)

    def _seen(self, template: Template) -> dict[str, Any]:
        people = Profile.objects.filter(merged_into=None, erased_at=None).order_by("-pk")[:8]
        versions = TemplateVersion.objects.filter(template=template).select_related("published_by")[:10]
        newest = versions[0] if versions else None
        return {
            "people": people,
            "locales": spelt(template.content),
            "versions": versions,
            "changed": newest is None or template.updated_at > newest.published_at,
        }

    @route("<int:pk>/preview/", "messaging.view_template", methods=("GET",))
    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The draft as one person would get it: subject, and the body in a frame of its own; an htmx fragment."""
        template, locale = self.find(request, pk), request.GET.get("locale", "en")[:20]
        person = _person(request.GET.get("person", ""))
        context: dict[str, Any] = {"template": template, "person": person, "locale": locale}
        try:
            context |= _parts(preview_as(template, profile=person, locale=locale))
        except (RenderError, Invalid) as error:
            context["problems"] = list(getattr(error, "problems", [error]))
        return TemplateResponse(request, "admin/messaging/template/preview.html", context)

    @route("<int:pk>/frame/", "messaging.view_template", methods=("GET",))
    def frame(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The body alone, on an opaque origin: no script runs, no cookie is seen, nothing of the admin is reached."""
        template, locale = self.find(request, pk), request.GET.get("locale", "en")[:20]
        try:
            found = preview_as(template, profile=_person(request.GET.get("person", "")), locale=locale)
            body: str = found.parts.get("html") or show.block(found.parts.get("text", ""))
        except (RenderError, Invalid) as error:
            body = show.block(str(error))
        response = HttpResponse(body)
        response["Content-Security-Policy"] = SANDBOX
        response["Referrer-Policy"] = "no-referrer"
        response["X-Frame-Options"] = "SAMEORIGIN"
        response["Cache-Control"] = "no-store"
        return response

    @route("<int:pk>/test/", "messaging.testsend_template")
    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send the draft to one address, outside the ledger: no cap counts it, no report shows it."""
        template, now = self.find(request, pk), clock.now()
        to, locale = request.POST.get("to", "").strip()[:254], request.POST.get("locale", "en")[:20]
        where = reverse("admin:messaging_template_change", args=[pk])
        try:
            said = send_trial(template, to=to, locale=locale, profile=_person(request.POST.get("person", "")))
        except (RenderError, Invalid, ChannelError) as error:
            complain(request, list(getattr(error, "problems", [error])))
            return self.back(request, where)
        audit.record(
            "template.test", f"template:{template.key}", now=now, actor=request.user, detail={"locale": locale}
        )
        if said:
            return self.back(request, where, said, level=messages.ERROR)
        return self.back(request, where, gettext("The test message was handed to the provider."))

    @route("<int:pk>/publish/", "messaging.publish_template")
    def publish(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Freeze the draft as the next version, or say everything that is wrong with it."""
        template, now = self.find(request, pk), clock.now()
        where = reverse("admin:messaging_template_change", args=[pk])
        try:
            version = publish_template(template, now=now, by=request.user)
        except Invalid as error:
            complain(request, list(error.problems))
            return self.back(request, where)
        said = gettext("Published as version %(n)s. Journeys use it from their next publication on.")
        return self.back(request, where, said % {"n": version.number})

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


def _parts(rendered: Rendered) -> dict[str, Any]:
    """What the preview shows: short parts as lines, HTML in its frame, the text below."""
    shown = ("subject", "preheader", "title")
    return {
        "heads": [(LABELS.get(name, name), rendered.parts[name]) for name in shown if rendered.parts.get(name)],
        "html": bool(rendered.parts.get("html")),
        "text": rendered.parts.get("text") or rendered.parts.get("body", ""),
    }


def _person(text: str) -> Profile | None:
    """The person named by row id or exact e-mail; nobody means sample data."""
    living = Profile.objects.filter(merged_into=None, erased_at=None)
    if text.isdecimal() and len(text) < 19:
        return living.filter(pk=int(text)).first()
    return living.filter(email=text.strip().lower()).first() if text.strip() else None
