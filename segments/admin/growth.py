"""Growth in the admin: how points are earned, what moved, levels with what they bring, and badges."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
)

from common.admin import LargePage, NoDelete, Page, ReadOnly, show
from segments.models import Badge, Level, PointEntry, PointRule, Privilege, Wallet

NAMES = ["key", "name", "name_zh"]


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


class PrivilegeInline(TabularInline):
    """What the level brings."""

    model = Privilege
    extra = 1
    fields = ["key", "name", "name_zh", "benefit", "place", "only"]
    ordering = ["place", "pk"]


@admin.register(Level)
class LevelAdmin(NoDelete, Page):
    """The ladder, with what each rung brings; people on it are counted."""

    hint = _("Levels turn points into standing. Add the lowest one first.")
    list_display = ["title", "rank", "threshold", "people", "brings", "key"]
    search_fields = NAMES
    fields = [*NAMES, "rank", "threshold"]
    inlines = [PrivilegeInline]
    prepopulated_fields = {"key": ["name"]}

    @admin.display(description=_("name"), ordering="name")
    def title(self, level: Level) -> str:
        return level.title

    def get_queryset(self, request: HttpRequest) -> Any:
        held = Wallet.objects.filter(level=OuterRef("pk")).order_by().values("level").annotate(n=Count("pk"))
        rows = super().get_queryset(request).annotate(n_people=Coalesce(Subquery(held.values("n")), 0))
        return rows.annotate(n_brings=Count("brings"))

    @admin.display(description=_("people"))
    def people(self, level: Any) -> str:
        return f"{level.n_people:,}"

    @admin.display(description=_("privileges"))
    def brings(self, level: Any) -> str:
        return f"{level.n_brings:,}"


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
