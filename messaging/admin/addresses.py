"""Addresses in the admin: what their owners agreed to and refused, with the history behind it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import FieldTextFilter, RangeDateFilter
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from common import audit, clock
from common.admin import LargePage, ReadOnly, complain, reason_of, route, show
from messaging import overview
from messaging.models import Address, Consent, Preference, Suppression, Topic
from messaging.permission import give_consent, lift_suppression, suppress, withdraw
from segments.admin.people import PANELS, Panel


class StatementForm(forms.Form):
    """What somebody said elsewhere, and where the proof of it lies."""

    topic = forms.ChoiceField(label=_("topic"), widget=UnfoldAdminSelectWidget())
    action = forms.ChoiceField(
        label=_("said"), widget=UnfoldAdminSelectWidget(), choices=[("withdrawn", _("no")), ("given", _("yes"))]
    )
    reason = forms.CharField(label=_("how and where we know"), max_length=200, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        topics = Topic.objects.exclude(purpose="transactional").order_by("key")
        self.fields["topic"].choices = [("*", _("everything")), *((one.key, one.title) for one in topics)]  # type: ignore[attr-defined]


@admin.register(Address)
class AddressAdmin(ReadOnly, LargePage):
    """Addresses: what their owners agreed to and refused. Consent is stated by people, never by this page."""

    hint = _("Addresses appear when people are first written to, or state their will.")
    list_display = ["value", "channel", "person", "agreed", "refused", "stopped", "soft_bounces", "last_engaged_at"]
    list_filter = [("channel", FieldTextFilter), ("suppressed", FieldTextFilter), ("created_at", RangeDateFilter)]
    list_select_related = ["profile"]
    search_fields = ["=value"]
    search_help_text = _("An exact address")
    ordering = ["-id"]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The address with its history of consent."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        address = self.get_object(request, object_id)
        if address is None:
            raise Http404
        history = overview.consent_history(address.pk)
        return self.page(
            request,
            "admin/messaging/address/page.html",
            address.value,
            original=address,
            address=address,
            history=history,
            form=StatementForm(),
        )

    @route("<int:pk>/state/", "messaging.state_consent")
    def state(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Record what somebody said elsewhere (by phone, on paper), with where the proof lies."""
        address, now = self.find(request, pk), clock.now()
        where = reverse("admin:messaging_address_change", args=[pk])
        form = StatementForm(request.POST)
        if not form.is_valid():
            complain(
                request,
                [f"{form.fields[name].label}: {' '.join(map(str, said))}" for name, said in form.errors.items()],
            )
            return self.back(request, where)
        topic, why = form.cleaned_data["topic"], form.cleaned_data["reason"]
        verb = give_consent if form.cleaned_data["action"] == Consent.Action.GIVEN else withdraw
        proof = {"by": str(request.user), "reason": why}
        verb(address, topic, now=now, source="by hand", evidence=proof)
        what = {"topic": topic, "action": form.cleaned_data["action"]}
        audit.record("consent.state", f"address:{pk}", now=now, actor=request.user, reason=why, detail=what)
        return self.back(request, where, gettext("The statement is on record."))

    @route("<int:pk>/lift/", "messaging.lift_suppression")
    def lift(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Write to this address again: somebody decided so, and says why."""
        address, now, why = self.find(request, pk), clock.now(), reason_of(request)
        where = reverse("admin:messaging_address_change", args=[pk])
        if not why or address.suppressed == Suppression.Reason.ERASED:
            return self.back(
                request, where, gettext("Say why; an erased address stays as it is."), level=messages.ERROR
            )
        lift_suppression(address)
        audit.record("address.lift", f"address:{pk}", now=now, actor=request.user, reason=why)
        return self.back(request, where, gettext("This address may be written to again."))

    @route("<int:pk>/suppress/", "messaging.suppress_address")
    def suppress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop everything to this address, by hand and with a reason."""
        address, now, why = self.find(request, pk), clock.now(), reason_of(request)
        suppress(address, Suppression.Reason.MANUAL, now=now, note=why)
        audit.record("address.suppress", f"address:{address.pk}", now=now, actor=request.user, reason=why)
        where = reverse("admin:messaging_address_change", args=[pk])
        return self.back(request, where, gettext("This address gets nothing more."))

    @admin.display(description=_("person"))
    def person(self, address: Address) -> SafeString | str:
        return show.page_of("segments_profile", address.profile_id, address.profile)

    @admin.display(description=_("agreed topics"))
    def agreed(self, address: Address) -> str:
        return ", ".join(address.consents) or "–"

    @admin.display(description=_("refused topics"))
    def refused(self, address: Address) -> SafeString | str:
        if "*" in address.refusals:
            return show.pill("withdrawn", _("everything"))
        return ", ".join(address.refusals) or "–"

    @admin.display(description=_("suppressed because"))
    def stopped(self, address: Address) -> SafeString | str:
        return show.pill("failed", address.suppressed) if address.suppressed else "–"


def _addresses(profile: Any, now: Any) -> dict[str, Any]:
    wish = Preference.objects.filter(profile=profile.pk).first()
    return {"addresses": overview.addresses_of(profile.pk), "preference": wish}


PANELS.append(Panel(_("consents"), "admin/messaging/address/panel.html", _addresses, "messaging.view_address"))
