"""The audit log: who did what to which thing. It can be read and searched, and nothing else."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import FieldTextFilter, RangeDateFilter

from common.admin import show
from common.admin.base import LargePage, ReadOnly
from common.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, LargePage):
    """Every action of a person, a key or the engine itself."""

    hint = _("Nothing has been done yet. Publishing, pausing, resuming, keys and cancellations will appear here.")
    list_display = ["at", "actor_name", "what", "subject", "reason"]
    list_filter = [("action", FieldTextFilter), ("actor_name", FieldTextFilter), ("at", RangeDateFilter)]
    search_fields = ["subject", "actor_name", "action"]
    ordering = ["-at", "-id"]
    fields = ["at", "actor_name", "actor", "what", "subject", "reason", "the_detail"]

    @admin.display(description=_("action"), ordering="action")
    def what(self, entry: AuditEntry) -> SafeString | str:
        return show.code(entry.action)

    @admin.display(description=_("detail"))
    def the_detail(self, entry: AuditEntry) -> SafeString | str:
        return show.pretty(entry.detail)
