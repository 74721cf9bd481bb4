"""Permission in the admin: topics, addresses with the history behind them, suppressions, pauses."""

from __future__ import annotations

import io
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter, RangeDateFilter
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from common import audit, clock
from common.admin import LargePage, NoDelete, Page, ReadOnly, complain, reason_of, route, show
from messaging import overview
from messaging.channels import channels
from messaging.models import Address, Consent, Pause, Preference, Suppression, Topic
from messaging.models.classes import MessageClass
from messaging.outbox import pauses
from messaging.permission import give_consent, lift_suppression, suppress, withdraw
from messaging.suppressions import BadFile, export_list, import_list
from segments.admin.people import PANELS, Panel


@admin.register(Topic)
class TopicAdmin(NoDelete, Page):
    """Subjects people may take or leave."""

    hint = _("A topic is what people agree to: offers, news, service. Marketing templates need one.")
    list_display = ["title", "key", "purpose", "opt_in", "description"]
    search_fields = ["key", "name", "name_zh"]
    fields = ["key", "name", "name_zh", "purpose", "opt_in", "confirmation", "description", "description_zh"]

    @admin.display(description=_("name"), ordering="name")
    def title(self, topic: Topic) -> str:
        return topic.title

    def get_readonly_fields(self, request: HttpRequest, obj: Topic | None = None) -> list[str]:
        """What people agreed to serves the purpose that it served then: another purpose is another topic."""
        stated = obj is not None and Consent.objects.filter(topic=obj.key).exists()
        return ["key", "purpose"] if stated else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Topic | None = None) -> dict[str, Any]:
        return {} if obj is not None else {"key": ["name"]}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "purpose":
            return forms.ChoiceField(
                label=capfirst(db_field.verbose_name),
                choices=MessageClass.choices,
                initial=MessageClass.MARKETING,
                widget=UnfoldAdminSelectWidget(),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)


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


class ListForm(forms.Form):
    """A list of addresses that get nothing more."""

    file = forms.FileField(label=_("file"), help_text=_("CSV in UTF-8"), widget=UnfoldAdminFileFieldWidget())
    dry = forms.BooleanField(label=_("only count"), required=False, initial=True, widget=UnfoldBooleanSwitchWidget())


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


def _addresses(profile: Any, now: Any) -> dict[str, Any]:
    wish = Preference.objects.filter(profile=profile.pk).first()
    return {"addresses": overview.addresses_of(profile.pk), "preference": wish}


PANELS.append(Panel(_("consents"), "admin/messaging/address/panel.html", _addresses, "messaging.view_address"))
