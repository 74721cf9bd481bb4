"""Benefits in the admin, the pools that carry their codes, and the filling of a pool from a file or by chance."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Count, F, Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from common import audit, clock
from common.admin import LargePage, NoDelete, Page, ReadOnly, complain, route, show
from common.params import Invalid, Problem
from segments.growth import pools
from segments.models import Benefit, Coupon, CouponPool

NAMES = ["key", "name", "name_zh"]
MEGABYTES = 20
AT_ONCE = 100_000  # codes made by one request
SHOWN = 100  # refused rows of a file that the page lists


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
    change_form_template = "admin/segments/couponpool/change_form.html"
    list_display = ["title", "benefit", "stock", "assigned", "redeemed", "warning", "key"]
    list_select_related = ["benefit"]
    search_fields = NAMES
    fields = [*NAMES, "benefit", "prefix", "endless", "low_stock", "per_person", "most", "starts_at", "ends_at"]
    prepopulated_fields = {"key": ["name"]}

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        pool = self.get_object(request, object_id)
        said = {"stock": pools.stock(pool), "megabytes": MEGABYTES, "at_once": AT_ONCE} if pool else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **said})

    @route("<int:pk>/load/", "segments.change_couponpool")
    def load(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take codes from a file row by row; rows that give none are listed with their reasons."""
        pool, refused = self.find(request, pk), list[pools.Refusal]()
        where = reverse("admin:segments_couponpool_change", args=[pk])
        try:
            done = _take(pool, request.FILES.get("file"), refused)
        except Invalid as invalid:
            complain(request, invalid.problems)
            return self.back(request, where)
        pools.watch_stock(clock.now())
        _note(request, pool, "coupons.load", added=done.added, refused=done.refused)
        said = gettext("%(rows)s rows read: %(added)s codes are new, %(refused)s rows were refused.") % vars(done)
        if not refused:
            return self.back(request, where, said)
        return self.page(
            request, "admin/segments/couponpool/refused.html", str(pool), said=said, refused=refused[:SHOWN],
            more=max(0, len(refused) - SHOWN), back=where,
        )  # fmt: skip

    @route("<int:pk>/make/", "segments.change_couponpool")
    def make(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make new codes by chance."""
        pool = self.find(request, pk)
        where = reverse("admin:segments_couponpool_change", args=[pk])
        asked = request.POST.get("count", "")
        if not (asked.isascii() and asked.isdecimal() and 0 < int(asked[:9]) <= AT_ONCE):
            said = gettext("Say how many codes, from 1 to %(n)s.") % {"n": f"{AT_ONCE:,}"}
            return self.back(request, where, said, level=messages.ERROR)
        made = pools.generate(pool, int(asked))
        pools.watch_stock(clock.now())
        _note(request, pool, "coupons.make", made=made)
        return self.back(request, where, ngettext("%(n)s code was made.", "%(n)s codes were made.", made) % {"n": made})

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
        low = pool.n_free * 100 <= pool.low_stock * pool.n_all
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


def _take(pool: CouponPool, file: UploadedFile[Any] | None, refused: list[pools.Refusal]) -> pools.Loaded:
    """Load the file by way of a temporary one. Raises Invalid for what cannot be read."""
    if file is None:
        raise Invalid([Problem("", gettext("Choose a file with codes."))])
    if (file.size or 0) > MEGABYTES * 2**20:
        raise Invalid([Problem("", gettext("A file may have %(n)s MB.") % {"n": MEGABYTES})])
    with tempfile.NamedTemporaryFile(suffix=Path(file.name or "").suffix.lower()) as copy:
        for chunk in file.chunks():
            copy.write(chunk)
        copy.flush()
        return pools.load(pool, Path(copy.name), refuse=refused.append)


def _note(request: HttpRequest, pool: CouponPool, action: str, **detail: Any) -> None:
    audit.record(action, f"pool:{pool.key}", now=clock.now(), actor=request.user, detail=detail)
