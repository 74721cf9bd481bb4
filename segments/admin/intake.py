"""What comes in: sources, facts, orders, imports, rows that were refused and why, traits learnt on the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
    RelatedDropdownFilter,
)

from common import audit, clock
from common.admin import LargePage, NoDelete, Page, ReadOnly, route, show
from common.money import format_money
from common.told import tell
from segments.models import Event, EventProperty, ImportJob, Order, RejectedRow, Trait
from segments.replay import replay


@admin.register(Event)
class EventAdmin(ReadOnly, LargePage):
    """The log of facts: what happened to whom. It is only ever appended to."""

    hint = _("No facts yet. Connect a source or import a file; the engine adds its own facts as it works.")
    list_display = ["occurred_at", "name", "person", "kind", "amount", "live", "source", "flags"]
    list_filter = [
        ("name", FieldTextFilter),
        ("kind", ChoicesDropdownFilter),
        ("source", RelatedDropdownFilter),
        ("occurred_at", RangeDateFilter),
    ]
    list_select_related = ["profile", "source"]
    search_fields = ["=key", "=name"]
    search_help_text = _("Message id, or the exact name of an event")
    ordering = ["-id"]
    sortable_by: list[str] = []
    fields = [
        "name", "kind", "person", "occurred_at", "received_at", "amount", "live", "flags", "source", "key",
        "the_properties", "the_context",
    ]  # fmt: skip

    @admin.display(description=_("person"))
    def person(self, event: Event) -> SafeString | str:
        return show.page_of("segments_profile", event.profile_id, event.profile)

    @admin.display(description=_("value"))
    def amount(self, event: Event) -> str:
        return show.money(event.value)

    @admin.display(description=_("properties"))
    def the_properties(self, event: Event) -> SafeString | str:
        return show.pretty(event.properties)

    @admin.display(description=_("context"))
    def the_context(self, event: Event) -> SafeString | str:
        return show.pretty(event.context)


@admin.register(Order)
class OrderAdmin(ReadOnly, LargePage):
    """Purchases, by their order id."""

    hint = _("No orders yet. They come from Order Completed events or from an import.")
    list_display = ["order_id", "placed_at", "person", "the_state", "amount", "given_back", "coupon_code", "source"]
    list_filter = [("state", ChoicesDropdownFilter), ("placed_at", RangeDateFilter), ("source", RelatedDropdownFilter)]
    list_select_related = ["profile", "source"]
    search_fields = ["=order_id", "=coupon_code"]
    ordering = ["-placed_at"]
    fields = [
        "order_id", "person", "placed_at", "the_state", "amount", "given_back", "net_reporting", "coupon_code",
        "source", "the_items",
    ]  # fmt: skip

    @admin.display(description=_("person"))
    def person(self, order: Order) -> SafeString | str:
        return show.page_of("segments_profile", order.profile_id, order.profile)

    @admin.display(description=_("state"))
    def the_state(self, order: Order) -> SafeString | str:
        return show.state_of(order)

    @admin.display(description=_("total"), ordering="total")
    def amount(self, order: Order) -> str:
        return format_money(order.total, order.currency)

    @admin.display(description=_("refunded"), ordering="refunded")
    def given_back(self, order: Order) -> str:
        return format_money(order.refunded, order.currency) if order.refunded else "–"

    @admin.display(description=_("items"))
    def the_items(self, order: Order) -> SafeString | str:
        return show.pretty(order.items)


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnly, Page):
    """Runs of file imports, with what was stored, known and refused."""

    hint = _("No import has run. Use manage.py import_facts with a CSV, JSONL or Parquet file.")
    list_display = ["started_at", "kind", "file", "the_state", "progress", "rows_stored", "rows_known", "refused"]
    list_filter = [("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter)]
    search_fields = ["file"]
    ordering = ["-id"]
    fields = [
        "kind", "file", "source", "the_state", "historical", "dry_run", "progress", "rows_stored", "rows_known",
        "refused", "started_at", "finished_at", "error", "the_mapping", "the_report",
    ]  # fmt: skip

    @admin.display(description=_("state"))
    def the_state(self, job: ImportJob) -> SafeString | str:
        return show.state_of(job)

    @admin.display(description=_("progress"))
    def progress(self, job: ImportJob) -> SafeString | str:
        return show.bar(job.rows_done, job.rows_total) if job.rows_total else f"{job.rows_done:,}"

    @admin.display(description=_("rejected"))
    def refused(self, job: ImportJob) -> SafeString | str:
        where = f"../rejectedrow/?job__id__exact={job.pk}"
        return show.link(f"{job.rows_rejected:,}", where) if job.rows_rejected else "0"

    @admin.display(description=_("mapping"))
    def the_mapping(self, job: ImportJob) -> SafeString | str:
        return show.pretty(job.mapping)

    @admin.display(description=_("report"))
    def the_report(self, job: ImportJob) -> SafeString | str:
        first = [{**row, "message": tell(row["message"])} for row in job.report.get("first", [])]
        return show.pretty({**job.report, "first": first} if first else job.report)


@admin.register(RejectedRow)
class RejectedRowAdmin(ReadOnly, LargePage):
    """Rows that could not be taken in, with what was wrong."""

    hint = _("Nothing was refused: every row that came in was taken in.")
    list_display = ["received_at", "source", "code", "path", "short_reason", "line", "job", "outcome"]
    list_filter = [
        ("code", FieldTextFilter),
        ("source", RelatedDropdownFilter),
        ("received_at", RangeDateFilter),
        ("replayed_as", FieldTextFilter),
        "job",
    ]
    list_select_related = ["source", "job"]
    search_fields = ["code", "path"]
    ordering = ["-id"]
    fields = [
        "received_at", "source", "job", "line", "code", "path", "the_reason", "the_payload", "replayed_at", "outcome",
    ]  # fmt: skip
    actions: Any = ["replay_many"]
    change_form_outer_before_template = "admin/segments/rejectedrow/verbs.html"

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("segments.replay_rejectedrow")

    @admin.action(description=_("Replay as history"), permissions=["replay"])
    def replay_many(self, request: HttpRequest, rows: QuerySet[RejectedRow]) -> None:
        """Take the chosen rows in again; they start nothing."""
        self._replay(request, rows.values_list("pk", flat=True), historical=True)

    @route("<int:pk>/replay/", "segments.replay_rejectedrow")
    def replay(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take one row in again; it may start journeys if the person says so."""
        row = self.find(request, pk)
        self._replay(request, [row.pk], historical=request.POST.get("live") != "yes")
        return self.back(request, reverse("admin:segments_rejectedrow_change", args=[pk]))

    def _replay(self, request: HttpRequest, ids: Iterable[int], *, historical: bool) -> None:
        now = clock.now()
        found = replay(ids, now=now, historical=historical)
        audit.record("rejected.replay", "rejected rows", now=now, actor=request.user, detail=found)
        words = {
            "stored": gettext("stored"),
            "known": gettext("already known"),
            "rejected": gettext("rejected"),
            "gone": gettext("replayed before"),
        }
        said = ", ".join(f"{words[name]}: {count}" for name, count in sorted(found.items()))
        level = messages.WARNING if found.get("rejected") else messages.SUCCESS
        messages.add_message(request, level, gettext("Replayed. %(said)s") % {"said": said})

    @admin.display(description=_("result of the replay"), ordering="replayed_as")
    def outcome(self, row: RejectedRow) -> SafeString | str:
        pills = {
            "stored": ("done", _("stored")),
            "known": ("done", _("already known")),
            "rejected": ("failed", _("rejected")),
        }
        return show.pill(*pills[row.replayed_as]) if row.replayed_as in pills else "–"

    @admin.display(description=_("reason"))
    def short_reason(self, row: RejectedRow) -> str:
        return tell(row.reason)[:140]

    @admin.display(description=_("reason"))
    def the_reason(self, row: RejectedRow) -> str:
        return tell(row.reason)

    @admin.display(description=_("row"))
    def the_payload(self, row: RejectedRow) -> SafeString:
        return show.block(row.payload)


@admin.register(EventProperty)
class EventPropertyAdmin(ReadOnly, LargePage):
    """Which properties each event has, in which types: several types for one mean that senders disagree."""

    hint = _(
        "Nothing learnt yet. Properties appear as events come in; manage.py learn_events reads those already there."
    )
    list_display = ["event", "shown_key", "type", "first_seen_at", "last_seen_at"]
    list_filter = [("event", FieldTextFilter), ("type", FieldTextFilter), ("last_seen_at", RangeDateFilter)]
    search_fields = ["event", "key"]
    ordering = ["event", "key", "type"]
    fields = ["event", "shown_key", "type", "first_seen_at", "last_seen_at"]

    @admin.display(description=_("property"), ordering="key")
    def shown_key(self, row: EventProperty) -> SafeString | str:
        return show.code(row.key) if row.key else "–"


@admin.register(Trait)
class TraitAdmin(NoDelete, Page):
    """Traits learnt from the data. A corrected type stays corrected."""

    hint = _("Traits appear by themselves as identify calls and imports bring them.")
    list_display = ["key", "type", "corrected", "personal", "seen_as", "last_seen_at"]
    list_filter = [("type", ChoicesDropdownFilter), ("corrected", BooleanRadioFilter)]
    search_fields = ["key"]
    ordering = ["key"]
    fields = ["key", "type", "corrected", "personal", "seen_as", "first_seen_at", "last_seen_at"]
    readonly_fields = ["key", "corrected", "seen_as", "first_seen_at", "last_seen_at"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Trait, form: Any, change: bool) -> None:
        """A person's word about the type is not unlearnt."""
        obj.corrected = obj.corrected or "type" in form.changed_data
        super().save_model(request, obj, form, change)

    @admin.display(description=_("examples"))
    def seen_as(self, trait: Trait) -> str:
        return ", ".join(map(str, trait.examples[:4])) or "–"
