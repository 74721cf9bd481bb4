"""Pauses in the admin: the switches that stop sending."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from common import audit, clock
from common.admin import Page, ReadOnly, reason_of, route, show
from messaging.channels import channels
from messaging.models import Pause
from messaging.models.classes import MessageClass
from messaging.outbox import pauses


class PauseForm(forms.Form):
    """What is to stop, and why."""

    scope = forms.ChoiceField(label=_("scope"), choices=Pause.Scope.choices, widget=UnfoldAdminSelectWidget())
    value = forms.CharField(
        label=_("which"),
        required=False,
        max_length=80,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Its key; empty for everything"),
    )
    reason = forms.CharField(label=_("reason"), max_length=200, widget=UnfoldAdminTextInputWidget())

    def clean(self) -> dict[str, Any]:
        """Name a thing that there is; a switch for nothing would be believed."""
        found = super().clean() or {}
        scope, value = found.get("scope", ""), found.get("value", "")
        if scope == Pause.Scope.ALL:
            found["value"] = ""
        elif not value:
            self.add_error("value", _("Say which one is to stop."))
        elif scope == Pause.Scope.CHANNEL and value not in channels:
            self.add_error("value", _("No such channel. Known: %(known)s") % {"known": ", ".join(channels.keys())})
        elif scope == Pause.Scope.CLASS and value not in MessageClass.values:
            self.add_error("value", _("No such class. Known: %(known)s") % {"known": ", ".join(MessageClass.values)})
        return found


class OpenPauseFilter(admin.SimpleListFilter):
    """Open pauses unless asked otherwise."""

    title = _("state")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("lifted")), ("all", _("all"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset if self.value() == "all" else queryset.filter(ended_at__isnull=self.value() != "no")


@admin.register(Pause)
class PauseAdmin(ReadOnly, Page):
    """The switches that stop sending. Anybody may look; stopping and lifting are two different rights."""

    hint = _("Nothing is paused: messages flow.")
    list_display = ["what", "reason", "started_at", "started_by", "until", "the_state", "ended_by"]
    list_filter = [OpenPauseFilter, ("scope", ChoicesDropdownFilter)]
    search_fields = ["value", "reason", "started_by"]
    ordering = ["-started_at"]
    fields = ["what", "reason", "started_at", "started_by", "until", "the_state", "ended_at", "ended_by"]
    list_before_template = "admin/messaging/pause/before.html"
    change_form_outer_before_template = "admin/messaging/pause/verbs.html"

    @route("start/", "messaging.start_pause", methods=("GET", "POST"))
    def start(self, request: HttpRequest) -> HttpResponse:
        form = PauseForm(request.POST or None, initial={"scope": request.GET.get("scope", "all")})
        if request.method == "POST" and form.is_valid():
            if not self._start(request, **form.cleaned_data):
                messages.warning(request, gettext("That is paused already."))
            return self.back(request, reverse("admin:messaging_pause_changelist"))
        return self.page(request, "admin/messaging/pause/start.html", gettext("Pause sending"), form=form)

    def _start(self, request: HttpRequest, scope: str, value: str, reason: str) -> bool:
        """Write the switch and its audit row together; False when it is down already."""
        now, name = clock.now(), str(request.user)[:150]
        with transaction.atomic():
            down = pauses.pause(scope, value, reason=reason, by=name, now=now)
            if down.started_at != now:
                return False
            audit.record("pause.start", _subject(scope, value), now=now, actor=request.user, reason=reason)
        messages.success(request, gettext("Sending is paused for what you named."))
        return True

    @route("<int:pk>/lift/", "messaging.lift_pause")
    def lift(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A named person lets go, with a reason; what was held goes on at once."""
        pause, now, why = self.find(request, pk), clock.now(), reason_of(request)
        where = reverse("admin:messaging_pause_changelist")
        if pause.ended_at is not None:
            return self.back(request, where, gettext("Somebody lifted it already."), level=messages.WARNING)
        with transaction.atomic():
            freed = pauses.lift(pause.scope, pause.value, by=str(request.user)[:150], now=now)
            subject = _subject(pause.scope, pause.value)
            audit.record("pause.lift", subject, now=now, actor=request.user, reason=why, detail={"freed": freed})
        return self.back(request, where, gettext("The pause is lifted; messages that go on: %(n)s.") % {"n": freed})

    @admin.display(description=_("what is paused"))
    def what(self, pause: Pause) -> str:
        return f"{pause.get_scope_display()} {pause.value}".strip()

    @admin.display(description=_("state"))
    def the_state(self, pause: Pause) -> SafeString:
        return show.pill("done", _("lifted")) if pause.ended_at else show.pill("paused", _("paused"))


def _subject(scope: str, value: str) -> str:
    return f"pause:{scope}:{value}".rstrip(":")
