"""Quarantines in the admin: what a source reports, against what was sent over it, and the decision."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter

from common import audit, clock
from common.admin import Page, ReadOnly, reason_of, route, show
from messaging import quarantine
from messaging.models import Quarantine, Receipt

SHOWN = 20
COLOURS = {"open": "failed", "releasing": "active", "dropping": "active", "released": "done", "dropped": "cancelled"}


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnly, Page):
    """Floods of bounces, complaints and unsubscriptions. Anybody may look; who decides says why."""

    hint = _("No source reports more harm than fits what was sent over it.")
    list_display = ["provider", "what", "words", "messages", "the_state", "opened_at", "decided_by", "reason"]
    list_filter = [("state", ChoicesDropdownFilter), ("opened_at", RangeDateFilter)]
    search_fields = ["provider", "reason", "decided_by"]
    ordering = ["-pk"]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The words by kind, some of them with their messages, and the two buttons."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        one = self.get_object(request, object_id)
        if one is None:
            raise Http404
        return self.page(
            request,
            "admin/messaging/quarantine/page.html",
            one.provider,
            original=one,
            one=one,
            state=self.the_state(one),
            share=f"{one.words / one.messages:.1%}" if one.messages else "–",
            kinds=[(Receipt.Kind(kind).label, count) for kind, count in quarantine.contents(one).items()],
            waiting=quarantine.waiting(one),
            sample=one.receipts.select_related("delivery__address").defer("delivery__context")[:SHOWN],
        )

    @route("<int:pk>/release/", "messaging.decide_quarantine")
    def release(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The words are true: apply them."""
        return self._decide(request, pk, release=True)

    @route("<int:pk>/drop/", "messaging.decide_quarantine")
    def drop(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The words are false: forget what they say."""
        return self._decide(request, pk, release=False)

    def _decide(self, request: HttpRequest, pk: int, *, release: bool) -> HttpResponse:
        one, now, why = self.find(request, pk), clock.now(), reason_of(request)
        where = reverse("admin:messaging_quarantine_change", args=[pk])
        if not why:
            return self.back(request, where, gettext("Say why."), level=messages.ERROR)
        if not quarantine.decide(one, release=release, by=str(request.user), reason=why, now=now):
            return self.back(request, where, gettext("Somebody has decided already."), level=messages.WARNING)
        action = "quarantine.release" if release else "quarantine.drop"
        what = {"source": one.provider, "kind": one.kind, "words": quarantine.waiting(one)}
        audit.record(action, f"quarantine:{pk}", now=now, actor=request.user, reason=why, detail=what)
        said = gettext("Its words are being applied.") if release else gettext("Its words are being dropped.")
        return self.back(request, where, said)

    @admin.display(description=_("kind"))
    def what(self, one: Quarantine) -> str:
        return str(Receipt.Kind(one.kind).label)

    @admin.display(description=_("state"))
    def the_state(self, one: Quarantine) -> SafeString:
        return show.pill(COLOURS[one.state], one.get_state_display())
