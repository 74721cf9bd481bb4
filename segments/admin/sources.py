"""Senders of facts in the admin: what each is, and its write keys with their overlap, last use and end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from common import clock
from common.admin import NoDelete, Page, route
from common.models import ApiKey
from segments.keys import keys_of, revoke, rotate
from segments.models import Source


class RotateForm(forms.Form):
    """How long the keys that are in use go on beside the new one."""

    hours = forms.IntegerField(
        label=_("the old keys go on for hours"), min_value=0, max_value=24 * 90, widget=UnfoldAdminIntegerFieldWidget()
    )


class KeyField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Keys by their prefix and last use."""

    def label_from_instance(self, key: Any) -> str:
        used = date_format(localtime(key.last_used_at), "SHORT_DATETIME_FORMAT") if key.last_used_at else "–"
        return gettext("%(prefix)s…, last used: %(used)s") % {"prefix": key.prefix, "used": used}


class RevokeForm(forms.Form):
    """Which of the source's keys, and why."""

    key = KeyField(label=_("key"), queryset=ApiKey.objects.none(), widget=UnfoldAdminSelectWidget())
    reason = forms.CharField(label=_("reason"), max_length=200, widget=UnfoldAdminTextInputWidget())

    def __init__(self, source: Source, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["key"].queryset = keys_of(source).filter(revoked_at=None)  # type: ignore[attr-defined]


@admin.register(Source)
class SourceAdmin(NoDelete, Page):
    """Senders of facts. Their write keys are API keys with the scope ingest."""

    hint = _("A source is a website, a server or a file that tells us what people do. Add one, then issue its key.")
    list_display = ["title", "key", "kind", "last_seen_at", "calls_a_minute", "lenient", "browser"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    search_fields = ["key", "name"]
    fields = ["key", "name", "name_zh", "kind", "lenient", "browser", "calls_a_minute", "last_seen_at"]
    readonly_fields = ["last_seen_at"]
    prepopulated_fields = {"key": ["name"]}
    change_form_outer_before_template = "admin/segments/source/keys.html"

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The form below the source's keys, for those who may see keys."""
        source = self.get_object(request, object_id)
        shown = source is not None and request.user.has_perm("common.view_apikey")
        keys = [(key, key.is_usable(clock.now())) for key in keys_of(source)[:50]] if source and shown else []
        extra = {**(extra_context or {}), "keys": keys, "keys_shown": shown}
        return super().change_view(request, object_id, form_url, extra)

    @route("<int:pk>/rotate/", "common.add_apikey", methods=("GET", "POST"))
    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A further key; the old ones go on for as long as the form says."""
        source, form = self.find(request, pk), RotateForm(request.POST or None, initial={"hours": 24})
        if source.kind == Source.Kind.ENGINE:
            raise Http404
        if request.method == "POST" and form.is_valid():
            overlap = timedelta(hours=form.cleaned_data["hours"])
            key, secret = rotate(source, overlap=overlap, now=clock.now(), actor=request.user)
            page = self.page(
                request,
                "admin/segments/source/issued.html",
                gettext("Key issued"),
                key=key,
                secret=secret,
                source=source,
            )
            page["Cache-Control"] = "no-store"
            return page
        return self.page(request, "admin/segments/source/rotate.html", gettext("Issue a key"), form=form, source=source)

    @route("<int:pk>/revoke/", "common.change_apikey", methods=("GET", "POST"))
    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First which key, when it was last used, and why; then refuse it at once."""
        source = self.find(request, pk)
        if source.kind == Source.Kind.ENGINE:
            raise Http404
        form = RevokeForm(source, request.POST or None, initial={"key": request.GET.get("key", "")})
        if request.method == "POST" and form.is_valid():
            key, reason = form.cleaned_data["key"], form.cleaned_data["reason"]
            to, said = reverse("admin:segments_source_change", args=[pk]), {"prefix": key.prefix}
            if revoke(source, key.pk, now=clock.now(), actor=request.user, reason=reason):
                return self.back(request, to, gettext("The key %(prefix)s… is revoked.") % said)
            known = gettext("The key %(prefix)s… was revoked before.") % said
            return self.back(request, to, known, level=messages.WARNING)
        return self.page(
            request, "admin/segments/source/revoke.html", gettext("Revoke a key"), form=form, source=source
        )  # fmt: skip

    @admin.display(description=_("name"), ordering="name")
    def title(self, source: Source) -> str:
        return source.title

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The engine's own source is not for editing."""
        return super().has_change_permission(request, obj) and getattr(obj, "kind", "") != Source.Kind.ENGINE
