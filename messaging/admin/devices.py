"""Devices in the admin: which apps and browsers take a person's push messages, since when, and which are gone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import FieldTextFilter, RangeDateFilter

from common import audit, clock
from common.admin import LargePage, ReadOnly, reason_of, route, show
from messaging.devices import forget
from messaging.models import Device
from segments.admin.people import PANELS, Panel


class LiveFilter(admin.SimpleListFilter):
    """Devices that still take messages unless asked otherwise."""

    title = _("state")
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("gone")), ("all", _("all"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset if self.value() == "all" else queryset.filter(gone_at__isnull=self.value() != "no")


@admin.register(Device)
class DeviceAdmin(ReadOnly, LargePage):
    """Apps register devices, providers say when they are gone. Tokens and keys are secrets and are never shown."""

    hint = _("No app or browser has registered yet. Apps do so with the person's token.")
    list_display = ["label_or_hash", "channel", "person", "registered_at", "seen_at", "the_state"]
    list_filter = [LiveFilter, ("channel", FieldTextFilter), ("seen_at", RangeDateFilter)]
    list_select_related = ["address__profile"]
    search_fields = ["=address__value", "=address__profile__email"]
    search_help_text = _("A person's public id or exact e-mail address")
    ordering = ["-pk"]
    fields = ["label_or_hash", "channel", "person", "registered_at", "seen_at", "the_state", "gone_at", "gone_because"]
    change_form_outer_before_template = "admin/messaging/device/verbs.html"

    @route("<int:pk>/remove/", "messaging.remove_device")
    def remove(self, request: HttpRequest, pk: int) -> HttpResponse:
        """This device takes no more messages, until its app registers it again."""
        device, now, why = self.find(request, pk), clock.now(), reason_of(request)
        where = reverse("admin:messaging_device_changelist")
        if not forget([device.pk], now=now, why=f"by hand: {why}"):
            return self.back(request, where, gettext("The device is gone already."), level=messages.WARNING)
        audit.record("device.remove", f"device:{pk}", now=now, actor=request.user, reason=why)
        return self.back(request, where, gettext("The device gets no more messages."))

    @admin.display(description=_("device"))
    def label_or_hash(self, device: Device) -> str:
        return device.label or f"{device.digest[:12]}…"

    @admin.display(description=_("person"))
    def person(self, device: Device) -> SafeString | str:
        return show.page_of("segments_profile", device.address.profile_id, device.address.profile)

    @admin.display(description=_("state"))
    def the_state(self, device: Device) -> SafeString:
        return show.pill("cancelled", _("gone")) if device.gone_at else show.pill("active", _("takes messages"))


def _devices(profile: Any, now: Any) -> dict[str, Any]:
    rows = Device.objects.filter(address__profile=profile.pk).order_by("gone_at", "-seen_at")
    return {"devices": rows.defer("token", "keys")[:20]}


PANELS.append(Panel(_("devices"), "admin/messaging/device/panel.html", _devices, "messaging.view_device"))
