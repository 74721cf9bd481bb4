"""Growth in the admin: points, levels, badges, missions, benefits and the pools that carry codes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, F, Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
    RelatedDropdownFilter,
)

from common.admin import LargePage, NoDelete, Page, ReadOnly, show
from segments.models import Badge, Benefit, Coupon, CouponPool, Level, Mission, PointEntry

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


@admin.register(PointEntry)
class PointEntryAdmin(ReadOnly, LargePage):
    """Every movement of points, with its reason. Nothing here is ever changed."""

    hint = _("No points have moved yet. Missions and award steps earn them.")
    list_display = ["at", "person", "signed", "kind", "reason", "expires_at"]
    list_filter = [("kind", ChoicesDropdownFilter), ("at", RangeDateFilter), ("reason", FieldTextFilter)]
    list_select_related = ["wallet__profile"]
    search_fields = ["key", "=wallet__profile__email"]
    ordering = ["-id"]
    fields = ["at", "person", "signed", "kind", "reason", "available_at", "expires_at", "key", "reverses"]

    @admin.display(description=_("person"))
    def person(self, entry: PointEntry) -> SafeString | str:
        return show.page_of("segments_profile", entry.wallet_id, entry.wallet.profile)

    @admin.display(description=_("points"))
    def signed(self, entry: PointEntry) -> str:
        return f"{entry.sign * entry.amount:+,}"


@admin.register(Benefit)
class BenefitAdmin(NoDelete, Page):
    """What people get."""

    hint = _("A benefit says what a coupon is worth; a pool holds its codes.")
    list_display = ["title", "kind", "worth", "valid_days", "key"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    search_fields = NAMES
    fields = [*NAMES, "kind", "amount", "currency", "valid_days", "cost"]
    prepopulated_fields = {"key": ["name"]}

    @admin.display(description=_("name"), ordering="name")
    def title(self, benefit: Benefit) -> str:
        return benefit.title

    @admin.display(description=_("worth"))
    def worth(self, benefit: Benefit) -> str:
        if benefit.kind == Benefit.Kind.PERCENT:
            return f"{benefit.amount / 100:g} %"
        return show.money(benefit.amount, benefit.currency) if benefit.amount else "–"


@admin.register(CouponPool)
class CouponPoolAdmin(NoDelete, Page):
    """Stocks of codes, with what is left."""

    hint = _("A pool holds unique codes of one benefit; a journey's grant step hands them out.")
    list_display = ["title", "benefit", "stock", "assigned", "redeemed", "warning", "key"]
    list_select_related = ["benefit"]
    search_fields = NAMES
    fields = [*NAMES, "benefit", "prefix", "endless", "low_stock", "per_person"]
    prepopulated_fields = {"key": ["name"]}

    def get_queryset(self, request: HttpRequest) -> Any:
        counts = {
            f"n_{state}": Count("coupons", filter=Q(coupons__state=state)) for state in ("free", "assigned", "redeemed")
        }
        return super().get_queryset(request).annotate(n_all=Count("coupons"), **counts)

    @admin.display(description=_("name"), ordering="name")
    def title(self, pool: CouponPool) -> str:
        return pool.title

    @admin.display(description=_("free codes"))
    def stock(self, pool: Any) -> SafeString | str:
        return "∞" if pool.endless else show.bar(pool.n_free, pool.n_all)

    @admin.display(description=_("assigned"))
    def assigned(self, pool: Any) -> str:
        return f"{pool.n_assigned:,}"

    @admin.display(description=_("redeemed"))
    def redeemed(self, pool: Any) -> str:
        return f"{pool.n_redeemed:,}"

    @admin.display(description=_("stock"))
    def warning(self, pool: Any) -> SafeString:
        if pool.endless:
            return show.pill("active", _("made on demand"))
        if not pool.n_free:
            return show.pill("failed", _("empty"))
        low = pool.n_free * 100 < pool.low_stock * pool.n_all
        return show.pill("paused", _("low")) if low else show.pill("active", _("enough"))


@admin.register(Coupon)
class CouponAdmin(ReadOnly, LargePage):
    """Single codes: free, handed out, redeemed."""

    hint = _("No codes yet. Load codes into a pool, or let the pool make them on demand.")
    list_display = ["code", "pool", "the_state", "person", "assigned_at", "expires_at", "redeemed_at", "order_ref"]
    list_filter = [("state", ChoicesDropdownFilter), ("pool", RelatedDropdownFilter)]
    list_select_related = ["pool", "profile"]
    search_fields = ["=code", "=order_ref"]
    ordering = ["-id"]
    fields = list_display

    @admin.display(description=_("state"), ordering=F("state").asc())
    def the_state(self, coupon: Coupon) -> SafeString | str:
        return show.state_of(coupon)

    @admin.display(description=_("person"))
    def person(self, coupon: Coupon) -> SafeString | str:
        return show.page_of("segments_profile", coupon.profile_id, coupon.profile)
