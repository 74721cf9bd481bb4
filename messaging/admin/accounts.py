"""Senders at providers: how to reach them, as whom, how fast, and how they are doing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, FieldTextFilter
from unfold.widgets import UnfoldAdminSelectWidget

from common import audit, clock
from common.admin import NoDelete, Page, complain, route, show
from common.params import Invalid
from messaging import postmaster
from messaging.admin.abilities import shown
from messaging.channels import ChannelError, channels
from messaging.models import Account
from messaging.outbox.pacing import left_today
from messaging.postmaster import send_hello

PILLS = {"good": "active", "weak": "held", "bad": "failed", "unseen": "draft"}
LEVELS = {"good": _("good"), "weak": _("weak"), "bad": _("bad"), "unseen": _("not seen")}


@admin.register(Account)
class AccountAdmin(NoDelete, Page):
    """Accounts. Secrets are never typed here: the settings name the environment variable that holds them."""

    hint = _("Without an account nothing can be sent. Add one for e-mail: its host, port and sender.")
    list_display = ["title", "channel", "transport", "sender", "rate", "is_default", "health"]
    list_filter = [("channel", FieldTextFilter), ("active", BooleanRadioFilter)]
    search_fields = ["key", "name", "sender"]
    prepopulated_fields = {"key": ["name"]}
    readonly_fields = [
        "abilities",
        "errors",
        "open_until",
        "day_count",
        "pace",
        "slowed_at",
        "rests_until",
        "rests_why",
    ]
    fieldsets = [
        (None, {"fields": ["name", "name_zh", "key", "channel", "transport", "abilities", "active", "is_default"]}),
        (_("As whom"), {"fields": ["sender", "reply_to", "settings"]}),
        (_("How fast"), {"fields": ["rate", "burst", "daily", "ramp", "ramp_from"]}),
        (_("When in doubt"), {"fields": ["resend_transactional", "stands_in", "errors", "open_until"]}),
        (_("How it is doing"), {"fields": ["day_count", "pace", "slowed_at", "rests_until", "rests_why"]}),
    ]
    change_form_outer_before_template = "admin/messaging/account/before.html"

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "channel":
            return forms.ChoiceField(
                label=capfirst(db_field.verbose_name),
                choices=[(key, key) for key, _channel in channels.items()],
                widget=UnfoldAdminSelectWidget(),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description=_("what it can do"))
    def abilities(self, account: Account) -> SafeString | str:
        known = account.channel in channels
        return shown(channels.get(account.channel), account.transport) if known else ""

    @route("<int:pk>/hello/", "messaging.testsend_template")
    def hello(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A short message over this very account, outside the ledger."""
        account, now, to = self.find(request, pk), clock.now(), request.POST.get("to", "").strip()[:254]
        where = reverse("admin:messaging_account_change", args=[pk])
        try:
            said = send_hello(account, to=to)
        except (Invalid, ChannelError) as error:
            complain(request, list(getattr(error, "problems", [error])))
            return self.back(request, where)
        audit.record("account.test", f"account:{account.key}", now=now, actor=request.user, detail={"said": said})
        if said:
            return self.back(request, where, said, level=messages.ERROR)
        return self.back(request, where, gettext("The test message was handed to the provider."))

    @route("<int:pk>/names/", "messaging.view_account", methods=("GET",))
    def names(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What name servers publish about the sender."""
        account = self.find(request, pk)
        told = [(one, show.pill(PILLS[one.level], LEVELS[one.level])) for one in postmaster.examine(account)]
        title = gettext("Names of %(account)s") % {"account": account.title}
        return self.page(request, "admin/messaging/account/names.html", title, told=told, row=account, original=account)

    @admin.display(description=_("name"), ordering="name")
    def title(self, account: Account) -> str:
        return account.title

    @admin.display(description=_("state"))
    def health(self, account: Account) -> SafeString:
        if not account.active:
            return show.pill("cancelled", _("off"))
        now = clock.now()
        if account.open_until and account.open_until > now:
            return show.pill("held", _("held after errors"))
        if account.rests_until and account.rests_until > now:
            return show.pill("held", _("rests: %(why)s") % {"why": account.rests_why})
        if left_today(account, now.date()) == 0:
            return show.pill("held", _("today's limit is reached"))
        return show.pill("active", _("ready"))
