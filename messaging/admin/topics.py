"""Topics in the admin: what people may agree to or refuse."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from common.admin import NoDelete, Page
from messaging.models import Consent, Topic
from messaging.models.classes import MessageClass


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
