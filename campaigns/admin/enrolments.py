"""Walks in the admin: who is where in which journey, why they entered, and every step they took."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
    RelatedDropdownFilter,
)

from campaigns import overview
from campaigns.models import Enrolment
from campaigns.parked import drop_parked, retry_parked
from campaigns.reasons import in_words
from common import clock
from common.admin import LargePage, ReadOnly, reason_of, route, show
from messaging.models import Delivery


@admin.register(Enrolment)
class EnrolmentAdmin(ReadOnly, LargePage):
    """Enrolments, and entries that were refused with the reason."""

    hint = _("Nobody has entered a journey yet. Publish one: its trigger decides who enters.")
    list_display = ["entered_at", "person", "the_journey", "the_state", "node", "because", "the_arm", "due_at"]
    list_filter = [
        ("journey", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("node", FieldTextFilter),
        ("reason", FieldTextFilter),
        ("ghost", BooleanRadioFilter),
        ("entered_at", RangeDateFilter),
    ]
    list_select_related = ["profile", "journey"]
    search_fields = ["=profile__email", "=profile__public_id"]
    search_help_text = _("An exact e-mail address or public id of a person")
    ordering = ["-id"]
    sortable_by: list[str] = []

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """One walk from entry to end."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = Enrolment.objects.select_related("profile", "journey", "version")
        row = rows.filter(pk=object_id).first() if object_id.isdecimal() else None
        if row is None:
            raise Http404
        sent = Delivery.objects.filter(enrolment=row.pk).select_related("version__template").order_by("pk")
        return self.page(
            request,
            "admin/campaigns/enrolment/page.html",
            f"{row.profile} · {row.journey.title}",
            row=row,
            because=in_words(row.reason),
            original=row,
            visits=[(visit, in_words(visit.reason) or "–") for visit in overview.visits_of(row.pk)],
            sent=[(message, in_words(message.reason) or "–") for message in sent],
            variables=show.pretty(row.context),
            state_pill=show.state_of(row),
        )

    @route("<int:pk>/retry/", "campaigns.retry_enrolment")
    def retry(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let a parked walk go on: the step it failed at is tried again at the next look."""
        where = reverse("admin:campaigns_enrolment_change", args=[self.find(request, pk).pk])
        if retry_parked([pk], now=clock.now(), by=request.user, reason=reason_of(request)):
            return self.back(request, where, gettext("It is tried again at the next look."))
        return self.back(request, where, gettext("It is not parked any more."), level=messages.WARNING)

    @route("<int:pk>/drop/", "campaigns.retry_enrolment")
    def drop(self, request: HttpRequest, pk: int) -> HttpResponse:
        """End a parked walk instead of trying it again."""
        where = reverse("admin:campaigns_enrolment_change", args=[self.find(request, pk).pk])
        if drop_parked([pk], now=clock.now(), by=request.user, reason=reason_of(request)):
            return self.back(request, where, gettext("The walk is ended."))
        return self.back(request, where, gettext("It is not parked any more."), level=messages.WARNING)

    @admin.display(description=_("person"))
    def person(self, row: Enrolment) -> SafeString | str:
        return show.page_of("segments_profile", row.profile_id, row.profile)

    @admin.display(description=_("journey"))
    def the_journey(self, row: Enrolment) -> SafeString | str:
        return show.page_of("campaigns_journey", row.journey_id, row.journey.title)

    @admin.display(description=_("state"))
    def the_state(self, row: Enrolment) -> SafeString | str:
        return show.state_of(row)

    @admin.display(description=_("reason"))
    def because(self, row: Enrolment) -> str:
        return in_words(row.reason) or "–"

    @admin.display(description=_("arm"))
    def the_arm(self, row: Enrolment) -> SafeString | str:
        return show.pill("held", _("held out")) if row.ghost else (row.arm or "–")
