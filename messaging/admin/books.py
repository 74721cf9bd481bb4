"""The daily books in the admin: one row a day, and what did not fit."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from common.admin import Page, ReadOnly, show
from messaging.models import Reconciliation

CODES = {
    "sum": _("the states do not add up"),
    "twice": _("two attempts at one message were accepted"),
    "unbooked": _("accepted by the provider, and booked otherwise"),
    "unproven": _("booked as sent without a proof"),
    "unmarked": _("sent or in doubt without an attempt"),
    "stuck": _("on its way, long after its lease"),
    "vanished": _("fewer than when last counted"),
    "overdue": _("due for an hour and still waiting"),
}


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnly, Page):
    """The ledger counted against itself, by the day on which messages were planned."""

    hint = _("Nothing has been counted yet. The ledger counts itself once a day.")
    list_display = ["day", "planned", "sent", "skipped", "failed", "waiting", "in_doubt", "verdict", "made_at"]
    ordering = ["-day"]
    fields = ["day", "made_at", "planned", "sent", "skipped", "failed", "waiting", "in_doubt", "verdict", "told"]
    readonly_fields = ["verdict", "told"]

    @admin.display(description=_("verdict"))
    def verdict(self, row: Reconciliation) -> SafeString:
        if row.alarms:
            return show.pill("failed", _("does not fit"))
        return show.pill("active", _("fits")) if not row.findings else show.pill("held", _("worth a look"))

    @admin.display(description=_("findings"))
    def told(self, row: Reconciliation) -> SafeString | str:
        """Each code with its number, in words, and some of the messages."""
        found: list[dict[str, Any]] = row.findings
        lines = ((CODES.get(one["code"], one["code"]), one["count"], ", ".join(one["samples"])) for one in found)
        return format_html_join("", "<p>{}: <b>{}</b> <small>{}</small></p>", lines) or "–"
