"""The ledger of messages in the admin: where each stands, why, and what came back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, FieldTextFilter, RangeDateFilter

from common import audit, clock
from common.admin import LargePage, ReadOnly, reason_of, route, show
from common.models import AuditEntry
from messaging.admin.outbox import OutboxPages
from messaging.fallback import fallback_of
from messaging.models import Delivery
from messaging.outbox import pauses
from messaging.outbox.resend import resend, resendable
from messaging.reasons import in_words
from messaging.timeline import why


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, OutboxPages, LargePage):
    """Messages. The engine writes them; a person may cancel one that has not gone out, and send again one in
    doubt."""

    hint = _("No message has been planned. Publish a journey with a send step, and its messages appear here.")
    list_display = [
        "planned_at",
        "template",
        "person",
        "channel",
        "the_state",
        "because",
        "answer",
        "origin",
        "sent_at",
    ]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("reason", FieldTextFilter),
        ("channel", FieldTextFilter),
        ("journey", FieldTextFilter),
        ("campaign", FieldTextFilter),
        ("klass", ChoicesDropdownFilter),
        ("ghost", BooleanRadioFilter),
        ("planned_at", RangeDateFilter),
    ]
    list_select_related = ["profile", "version__template"]
    search_fields = ["=public_id", "=address__value"]
    search_help_text = _("A message's public id, or an exact address")
    ordering = ["-id"]
    sortable_by: list[str] = []

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """One message from plan to last word."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = Delivery.objects.select_related("profile", "version__template", "address", "account")
        row = found.filter(pk=object_id).first() if object_id.isdecimal() else None
        if row is None:
            raise Http404
        return self.page(
            request,
            "admin/messaging/delivery/page.html",
            str(row.version.template),
            row=row,
            original=row,
            why=why(row),
            ways=_ways(row),
            tries=row.tries.select_related("account").order_by("n"),
            receipts=row.receipts.order_by("at", "pk"),
            audit=AuditEntry.objects.filter(subject=f"delivery:{row.public_id}").order_by("at"),
            clicks=row.clicks.select_related("link").order_by("at", "pk")[:100],
            variables=show.pretty(row.context),
            utm=show.listed(row.utm),
            can_cancel=row.state in ("planned", "held"),
            doubtful=row.state in Delivery.DOUBTFUL,
            can_resend=resendable(clock.now()).filter(pk=row.pk).exists(),
            state_pill=show.state_of(row),
        )

    @route("<int:pk>/cancel/", "messaging.cancel_delivery")
    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Cancel a message that waits. One already claimed is past recall, and says so."""
        row, now, reason = self.find(request, pk), clock.now(), reason_of(request)
        with transaction.atomic():
            won = pauses.cancel(reason="by_hand", now=now, pk=pk)
            if won:
                audit.record("delivery.cancel", f"delivery:{row.public_id}", now=now, actor=request.user, reason=reason)
        where = reverse("admin:messaging_delivery_change", args=[pk])
        if won:
            return self.back(request, where, gettext("The message is cancelled."))
        return self.back(request, where, gettext("It is past recall: it no longer waits."), level=messages.WARNING)

    @route("<int:pk>/resend/", "messaging.resend_delivery", methods=("GET", "POST"))
    def resend(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First what it may mean, then, by POST and with a reason, once more."""
        row, now, reason = self.find(request, pk), clock.now(), reason_of(request)
        where = reverse("admin:messaging_delivery_change", args=[pk])
        if reason and request.method == "POST" and resend(pk, now=now, by=request.user, why=reason):
            return self.back(request, where, gettext("It is planned once more and goes through every gate again."))
        if not resendable(now).filter(pk=pk).exists():
            said = gettext("It is not in doubt any more, or it has expired: nothing was sent again.")
            return self.back(request, where, said, level=messages.WARNING)
        if request.method == "POST":
            messages.error(request, gettext("Say why it is sent again."))
        title = gettext("Send again: %(template)s") % {"template": row.version.template.title}
        return self.page(request, "admin/messaging/delivery/resend.html", title, row=row, original=row)

    @admin.display(description=_("template"))
    def template(self, row: Delivery) -> str:
        return row.version.template.title

    @admin.display(description=_("person"))
    def person(self, row: Delivery) -> SafeString | str:
        return show.page_of("segments_profile", row.profile_id, row.profile)

    @admin.display(description=_("state"))
    def the_state(self, row: Delivery) -> SafeString | str:
        if row.ghost:
            return show.pill(row.state, _("held out"))
        return show.state_of(row)

    @admin.display(description=_("reason"))
    def because(self, row: Delivery) -> str:
        return in_words(row.reason) or "–"

    @admin.display(description=_("reached"))
    def answer(self, row: Delivery) -> SafeString | str:
        return show.state_of(row, "reached") if row.reached else "–"

    @admin.display(description=_("because of"))
    def origin(self, row: Delivery) -> str:
        return " · ".join(part for part in (row.journey or row.campaign, row.node) if part) or "–"


def _ways(row: Delivery) -> dict[str, Any] | None:
    """The ways of a message that has several: those that failed and why, the one under way, how many are left."""
    found = fallback_of(row)
    if found is None:
        return None
    tried = [{**one, "why": in_words(one["reason"])} for one in found.story]
    return {"tried": tried, "now": found.delivery, "left": len(found.versions), "ended": found.ended_at}
