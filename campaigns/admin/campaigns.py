"""Campaigns with their goals: a purpose, its UTM name, what it may cost, and a default holdout."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, JSONField
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from campaigns.models import Campaign, Goal
from common.admin import JsonField, NoDelete, Page, show


class GoalInline(TabularInline):
    """What the campaign hopes for."""

    model = Goal
    extra = 0
    fields = ["key", "fact", "filter", "window_days", "anchor", "primary"]
    formfield_overrides = {JSONField: {"form_class": JsonField}}


@admin.register(Campaign)
class CampaignAdmin(NoDelete, Page):
    """Purposes. The key and the UTM name stay as they are once messages carry them."""

    hint = _("A campaign is a purpose with a goal, such as winning back lapsed customers. Recipes bring one along.")
    list_display = ["title", "utm_campaign", "the_holdout", "journeys_in_it", "starts_at", "ends_at", "priority"]
    search_fields = ["key", "name", "name_zh", "utm_campaign"]
    ordering = ["-created_at"]
    prepopulated_fields = {"key": ["name"], "utm_campaign": ["name"]}
    inlines = [GoalInline]
    fieldsets = [
        (None, {"fields": ["name", "name_zh", "key", "priority"]}),
        (_("What proves it"), {"fields": ["utm_campaign", "utm_source", "holdout"]}),
        (_("When, and at what cost"), {"fields": ["starts_at", "ends_at", "spend", "currency"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(n_journeys=Count("journeys"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else self.prepopulated_fields

    @admin.display(description=_("name"), ordering="name")
    def title(self, campaign: Campaign) -> str:
        return campaign.title

    @admin.display(description=_("holdout"), ordering="holdout")
    def the_holdout(self, campaign: Campaign) -> str:
        return "–" if campaign.holdout is None else f"{campaign.holdout:.0%}"

    @admin.display(description=_("journeys"))
    def journeys_in_it(self, campaign: Any) -> SafeString | str:
        where = f"../journey/?campaign__id__exact={campaign.pk}"
        return show.link(str(campaign.n_journeys), where) if campaign.n_journeys else "0"
