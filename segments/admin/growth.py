"""Growth in the admin: how points are earned, what moved, levels, badges and missions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
)

from common.admin import LargePage, NoDelete, Page, ReadOnly, show
from segments.models import Badge, Level, Mission, PointEntry, PointRule

NAMES = ["key", "name", "name_zh"]


@admin.register(Mission)
class MissionAdmin(NoDelete, Page):
    """Tasks for people. A change of the rule starts new counters; the old ones stay."""

    hint = _("A mission asks people to do something a number of times, and rewards it with points or a badge.")
    list_display = ["title", "fact", "target", "period", "points", "badge", "active"]
    list_filter = [("active", BooleanRadioFilter), ("period", ChoicesDropdownFilter)]
    list_select_related = ["badge"]
    search_fields = ["key", "name", "name_zh", "fact"]
    fields = [*NAMES, "fact", "filter", "target", "period", "points", "badge", "active"]
    prepopulated_fields = {"key": ["name"]}

    @admin.display(description=_("name"), ordering="name")
    def title(self, mission: Mission) -> str:
        return mission.title

    def save_model(self, request: HttpRequest, obj: Mission, form: Any, change: bool) -> None:
        """What is counted is part of the version: counters of another rule must not be mixed."""
        if change and {"fact", "filter", "target", "period"} & set(form.changed_data):
            obj.version = Mission.objects.values_list("version", flat=True).get(pk=obj.pk) + 1
        super().save_model(request, obj, form, change)


@admin.register(Badge)
class BadgeAdmin(NoDelete, Page):
    """Marks of honour."""

    hint = _("Make a badge, then let a mission or a journey's award step give it.")
    list_display = ["title", "key", "icon", "given"]
    search_fields = NAMES
    fields = [*NAMES, "description", "icon"]
    prepopulated_fields = {"key": ["name"]}

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(given_count=Count("awards"))

    @admin.display(description=_("name"), ordering="name")
    def title(self, badge: Badge) -> str:
        return badge.title

    @admin.display(description=_("given"))
    def given(self, badge: Any) -> str:
        return f"{badge.given_count:,}"


@admin.register(Level)
class LevelAdmin(NoDelete, Page):
    """The ladder."""

    hint = _("Levels turn points into standing. Add the lowest one first.")
    list_display = ["title", "rank", "threshold", "key"]
    search_fields = NAMES
    fields = [*NAMES, "rank", "threshold", "privileges"]
    prepopulated_fields = {"key": ["name"]}

    @admin.display(description=_("name"), ordering="name")
    def title(self, level: Level) -> str:
        return level.title


@admin.register(PointRule)
class PointRuleAdmin(NoDelete, Page):
    """How people earn by themselves. Points that were booked stay when a rule changes."""

    hint = _("An earning rule gives points for each event, or one for so much money; a refund takes them back.")
    list_display = ["title", "fact", "points", "per", "pending_days", "valid_days", "most_a_day", "active"]
    list_filter = [("active", BooleanRadioFilter)]
    search_fields = [*NAMES, "fact"]
    fields = [*NAMES, "fact", "filter", "points", "per", "pending_days", "valid_days", "most_a_day", "active"]
    prepopulated_fields = {"key": ["name"]}

    @admin.display(description=_("name"), ordering="name")
    def title(self, rule: PointRule) -> str:
        return rule.title


@admin.register(PointEntry)
class PointEntryAdmin(ReadOnly, LargePage):
    """Every movement of points, with its reason. Nothing here is ever changed."""

    hint = _("No points have moved yet. Missions and award steps earn them.")
    list_display = ["at", "person", "signed", "kind", "reason", "expires_at"]
    list_filter = [("kind", ChoicesDropdownFilter), ("at", RangeDateFilter), ("reason", FieldTextFilter)]
    list_select_related = ["wallet__profile"]
    search_fields = ["key", "=wallet__profile__email"]
    ordering = ["-id"]
    fields = ["at", "person", "signed", "kind", "reason", "available_at", "expires_at", "ref", "key", "reverses"]

    @admin.display(description=_("person"))
    def person(self, entry: PointEntry) -> SafeString | str:
        return show.page_of("segments_profile", entry.wallet_id, entry.wallet.profile)

    @admin.display(description=_("points"))
    def signed(self, entry: PointEntry) -> str:
        return f"{entry.sign * entry.amount:+,}"
