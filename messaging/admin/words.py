"""Words that nobody may write: a list that operators keep."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from common.admin import Page
from messaging.models import BannedWord


@admin.register(BannedWord)
class BannedWordAdmin(Page):
    """What templates must not say, by language (docs/lints.md)."""

    hint = _(
        "No banned word yet. List what an advertising law or your style forbids; a template that holds it is not "
        "published."
    )
    list_display = ["word", "locale", "severity", "instead"]
    list_filter = ["severity"]
    search_fields = ["word"]
    ordering = ["locale", "word"]
