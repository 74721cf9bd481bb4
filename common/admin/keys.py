"""API keys: issued with a secret that is shown once, revoked, and never edited."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from common import audit, clock
from common.admin import show
from common.admin.base import NoDelete, Page, route
from common.admin.widgets import OwnTemplate
from common.models import ApiKey
from common.scopes import SCOPES


class ScopesWidget(OwnTemplate, forms.CheckboxSelectMultiple):
    """Plain checkboxes, one below the other (the theme's own have no room for sentences)."""

    template_name = "admin/widgets/choices.html"


class IssueForm(forms.Form):
    """What a new key is called and what it may do."""

    name = forms.CharField(label=_("name"), max_length=120, widget=UnfoldAdminTextInputWidget())
    scopes = forms.MultipleChoiceField(
        label=_("scopes"), choices=[(key, scope.title) for key, scope in SCOPES.items()], widget=ScopesWidget()
    )
    subject = forms.CharField(
        label=_("subject"),
        max_length=120,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("For a write key: the source it writes to, as source:key"),
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if "ingest" in found.get("scopes", []) and not found.get("subject", "").startswith("source:"):
            self.add_error("subject", _("A write key names its source: source:key"))
        return found


@admin.register(ApiKey)
class ApiKeyAdmin(NoDelete, Page):
    """Keys of programs. The secret is shown once, on the page that follows the issue."""

    hint = _("Issue a key so that a program can send facts or read reports.")
    list_display = ["name", "shown_prefix", "shown_scopes", "subject", "created_at", "last_used_at", "usable"]
    search_fields = ["name", "prefix", "subject"]
    ordering = ["-created_at"]
    fields = ["name", "shown_prefix", "shown_scopes", "subject", "created_at", "last_used_at", "expires_at", "usable"]
    change_form_outer_before_template = "admin/common/apikey/verbs.html"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Issue instead of add."""
        return self.issue(request)

    @route("issue/", "common.add_apikey", methods=("GET", "POST"))
    def issue(self, request: HttpRequest) -> HttpResponse:
        form = IssueForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            now, found = clock.now(), form.cleaned_data
            key, secret = ApiKey.issue(found["name"], found["scopes"], now=now, subject=found["subject"])
            ApiKey.objects.filter(pk=key.pk).update(created_by=request.user)
            audit.record("key.issue", f"key:{key.prefix}", now=now, actor=request.user, detail={"scopes": key.scopes})
            page = self.page(request, "admin/common/apikey/issued.html", gettext("Key issued"), key=key, secret=secret)
            page["Cache-Control"] = "no-store"
            return page
        return self.page(request, "admin/common/apikey/issue.html", gettext("Issue a key"), form=form)

    @route("<int:pk>/revoke/", "common.change_apikey")
    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        key, now = self.find(request, pk), clock.now()
        won = ApiKey.objects.filter(pk=pk, revoked_at=None).update(revoked_at=now)
        if won:
            audit.record("key.revoke", f"key:{key.prefix}", now=now, actor=request.user)
        return self.back(request, reverse("admin:common_apikey_changelist"), gettext("The key is revoked."))

    @admin.display(description=_("prefix"), ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> SafeString | str:
        return show.code(f"{key.prefix}…")

    @admin.display(description=_("scopes"))
    def shown_scopes(self, key: ApiKey) -> str:
        return ", ".join(key.scopes) or "–"

    @admin.display(description=_("state"))
    def usable(self, key: ApiKey) -> SafeString:
        if key.revoked_at is not None:
            return show.pill("cancelled", _("revoked"))
        return show.pill("active", _("usable")) if key.is_usable(clock.now()) else show.pill("expired", _("expired"))
