"""What the running installation knows of itself: work set aside, slots that ran, processes alive."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import FieldTextFilter, RangeDateFilter

from common import audit, clock, parking
from common.admin import show
from common.admin.base import LargePage, Page, ReadOnly, reason_of, route
from common.models import Heartbeat, Parked, Tick


class OpenFilter(admin.SimpleListFilter):
    """Open items unless asked otherwise."""

    title = _("state")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("resolved")), ("all", _("all"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() != "no")


@admin.register(Parked)
class ParkedAdmin(ReadOnly, Page):
    """Work that failed for good and was set aside, so that the rest could go on."""

    hint = _("Nothing is parked: every fact was read and every step taken.")
    list_display = ["at", "reader", "subject", "short_reason", "tries", "is_open"]
    list_filter = [OpenFilter, ("reader", FieldTextFilter)]
    search_fields = ["subject", "reason", "reader"]
    ordering = ["-at"]
    fields = ["at", "reader", "subject", "the_reason", "tries", "resolved_at", "resolved_by"]
    change_form_outer_before_template = "admin/common/parked/verbs.html"

    @route("<int:pk>/resolve/", "common.change_parked")
    def resolve(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Mark as dealt with; says who and why."""
        item, now = self.find(request, pk), clock.now()
        name = str(request.user)[:150]
        if Parked.objects.filter(pk=pk, resolved_at=None).update(resolved_at=now, resolved_by=name):
            subject = f"parked:{item.reader}:{item.subject}"[:120]
            audit.record("parked.resolve", subject, now=now, actor=request.user, reason=reason_of(request))
        return self.back(request, reverse("admin:common_parked_changelist"), gettext("Marked as resolved."))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """Where the work can be tried again, a button for it."""
        item = self.get_object(request, object_id)
        again = item is not None and item.resolved_at is None and item.reader in parking.retries
        return super().change_view(request, object_id, form_url, {"can_retry": again, **(extra_context or {})})

    @route("<int:pk>/retry/", "common.change_parked")
    def retry(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Try the work again at once; it stays parked, with the new reason, when it fails again."""
        item, now, where = self.find(request, pk), clock.now(), reverse("admin:common_parked_changelist")
        if item.resolved_at is not None or item.reader not in parking.retries:
            return self.back(request, where, gettext("This cannot be tried again."), level=messages.WARNING)
        failed = parking.retry(item, now=now, by=str(request.user))
        subject, what = f"parked:{item.reader}:{item.subject}"[:120], {"failed": failed}
        audit.record(
            "parked.retry",
            subject,
            now=now,
            actor=request.user,
            reason=reason_of(request),
            detail=what if failed else {},
        )
        if failed:
            text = gettext("It failed again: %(why)s") % {"why": failed}
            return self.back(request, reverse("admin:common_parked_change", args=[pk]), text, level=messages.ERROR)
        return self.back(request, where, gettext("Done at the second try."))

    @admin.display(description=_("reason"))
    def short_reason(self, item: Parked) -> str:
        lines = item.reason.strip().splitlines()
        return lines[-1][:160] if lines else "–"

    @admin.display(description=_("reason"))
    def the_reason(self, item: Parked) -> SafeString | str:
        return show.block(item.reason)

    @admin.display(description=_("state"))
    def is_open(self, item: Parked) -> SafeString:
        return show.pill("done", _("resolved")) if item.resolved_at else show.pill("parked", _("parked"))


@admin.register(Tick)
class TickAdmin(ReadOnly, LargePage):
    """Slots of the timetable that somebody ran."""

    hint = _("No slot has run yet: start the worker with its timetable (manage.py run).")
    list_display = ["schedule", "slot", "started_at", "took", "outcome", "short_result"]
    list_filter = [("schedule", FieldTextFilter), ("started_at", RangeDateFilter)]
    search_fields = ["schedule"]
    ordering = ["-id"]
    fields = ["schedule", "slot", "started_at", "finished_at", "took", "outcome", "the_result", "error"]

    @admin.display(description=_("took"))
    def took(self, tick: Tick) -> str:
        return f"{(tick.finished_at - tick.started_at).total_seconds():.1f} s" if tick.finished_at else "–"

    @admin.display(description=_("state"))
    def outcome(self, tick: Tick) -> SafeString:
        if tick.error:
            return show.pill("failed", _("failed"))
        return show.pill("done", _("done")) if tick.finished_at else show.pill("running", _("running"))

    @admin.display(description=_("result"))
    def short_result(self, tick: Tick) -> str:
        result = tick.result if isinstance(tick.result, dict) else {"": tick.result}
        return ", ".join(f"{key} {value}".strip() for key, value in result.items())[:120] or "–"

    @admin.display(description=_("result"))
    def the_result(self, tick: Tick) -> SafeString | str:
        return show.pretty(tick.result)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly, Page):
    """The last sign of life of each process."""

    hint = _("No process has given a sign of life: start the product with manage.py run.")
    list_display = ["process", "role", "at", "alive"]
    list_filter = [("role", FieldTextFilter)]
    ordering = ["-at"]
    fields = ["process", "role", "at", "alive", "the_detail"]

    @admin.display(description=_("state"))
    def alive(self, beat: Heartbeat) -> SafeString:
        silent = (clock.database_now() - beat.at).total_seconds()
        return show.pill("live", _("alive")) if silent < 120 else show.pill("failed", _("silent"))

    @admin.display(description=_("detail"))
    def the_detail(self, beat: Heartbeat) -> SafeString | str:
        return show.pretty(beat.detail)
