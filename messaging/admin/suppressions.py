"""Suppression lists in the admin: what is on them, in and out as files."""

from __future__ import annotations

import io
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter, RangeDateFilter
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldBooleanSwitchWidget

from common import audit, clock
from common.admin import LargePage, ReadOnly, route, show
from messaging.models import Suppression
from messaging.suppressions import BadFile, export_list, import_list


class ListForm(forms.Form):
    """A list of addresses that get nothing more."""

    file = forms.FileField(label=_("file"), help_text=_("CSV in UTF-8"), widget=UnfoldAdminFileFieldWidget())
    dry = forms.BooleanField(label=_("only count"), required=False, initial=True, widget=UnfoldBooleanSwitchWidget())


@admin.register(Suppression)
class SuppressionAdmin(ReadOnly, LargePage):
    """Addresses that get nothing more, as keyed hashes that outlive erasure."""

    hint = _("No address is suppressed. Hard bounces, complaints and erasures appear here by themselves.")
    list_display = ["at", "channel", "reason", "note", "short_digest"]
    list_filter = [("channel", FieldTextFilter), ("reason", ChoicesDropdownFilter), ("at", RangeDateFilter)]
    search_fields = ["=digest"]
    ordering = ["-id"]
    fields = ["at", "channel", "reason", "note", "digest"]
    list_before_template = "admin/messaging/suppression/before.html"

    @route("import/", "messaging.import_suppression", methods=("GET", "POST"))
    def upload(self, request: HttpRequest) -> HttpResponse:
        """A list as a file: what would happen, or did, with every refused line."""
        form, said = ListForm(request.POST or None, request.FILES or None), {}
        if request.method == "POST" and form.is_valid():
            said = self._take(request, form, dry=form.cleaned_data["dry"])
        return self.page(
            request, "admin/messaging/suppression/upload.html", gettext("Import a list"), form=form, **said
        )

    def _take(self, request: HttpRequest, form: ListForm, *, dry: bool) -> dict[str, Any]:
        now = clock.now()
        lines = io.TextIOWrapper(form.cleaned_data["file"].file, encoding="utf-8-sig", errors="replace", newline="")
        try:
            taken = import_list(lines, now=now, dry=dry)
        except BadFile as error:
            form.add_error("file", str(error))
            return {}
        if not dry:
            what = {"new": taken.new, "known": taken.known, "refused": taken.refused}
            audit.record("suppression.import", "suppressions", now=now, actor=request.user, detail=what)
        return {"taken": taken, "dry": dry}

    @route("export/", "messaging.export_suppression", methods=("GET",))
    def download(self, request: HttpRequest) -> Any:
        named = request.GET.get("addresses") == "1"
        audit.record("suppression.export", "suppressions", now=clock.now(), actor=request.user, detail={"named": named})
        answer = StreamingHttpResponse(export_list(addresses=named), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="suppressions.csv"'
        return answer

    @admin.display(description=_("keyed hash"))
    def short_digest(self, row: Suppression) -> SafeString | str:
        return show.code(f"{row.digest[:12]}…")
