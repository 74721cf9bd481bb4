"""Senders at providers: how to reach them, as whom, how fast, and how they are doing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, FieldTextFilter
from unfold.widgets import UnfoldAdminSelectWidget

from common import clock
from common.admin import NoDelete, Page, show
from messaging.admin.abilities import shown
from messaging.channels import channels
from messaging.models import Account


@admin.register(Account)
class AccountAdmin(NoDelete, Page):
    """Accounts. Secrets are never typed here: the settings name the environment variable that holds them."""

    hint = _("Without an account nothing can be sent. Add one for e-mail: its host, port and sender.")
    list_display = ["title", "channel", "transport", "sender", "rate", "is_default", "health"]
    list_filter = [("channel", FieldTextFilter), ("active", BooleanRadioFilter)]
    search_fields = ["key", "name", "sender"]
    prepopulated_fields = {"key": ["name"]}
    readonly_fields = ["abilities", "errors", "open_until"]
    fieldsets = [
        (None, {"fields": ["name", "name_zh", "key", "channel", "transport", "abilities", "active", "is_default"]}),
        (_("As whom"), {"fields": ["sender", "reply_to", "settings"]}),
        (_("How fast"), {"fields": ["rate", "burst"]}),
        (_("When in doubt"), {"fields": ["resend_transactional", "errors", "open_until"]}),
    ]

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

    @admin.display(description=_("name"), ordering="name")
    def title(self, account: Account) -> str:
        return account.title

    @admin.display(description=_("state"))
    def health(self, account: Account) -> SafeString:
        if not account.active:
            return show.pill("cancelled", _("off"))
        if account.open_until and account.open_until > clock.now():
            return show.pill("held", _("held after errors"))
        return show.pill("active", _("ready"))
