"""The proof in the admin: touches, conversions with their credit, experiments with their arms."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter, RangeDateFilter

from campaigns.models import Arm, Conversion, Credit, Experiment, Touch
from common.admin import LargePage, Page, ReadOnly, show


@admin.register(Touch)
class TouchAdmin(ReadOnly, LargePage):
    """Contacts that may earn credit."""

    hint = _("No touch yet. Human clicks and visits that carry UTM appear here.")
    list_display = ["at", "kind", "person", "source", "medium", "campaign", "content"]
    list_filter = [
        ("kind", ChoicesDropdownFilter),
        ("source", FieldTextFilter),
        ("campaign", FieldTextFilter),
        ("at", RangeDateFilter),
    ]
    list_select_related = ["profile"]
    search_fields = ["=utm_id"]
    search_help_text = _("An exact utm_id")
    ordering = ["-id"]
    sortable_by: list[str] = []
    fields = [
        "at", "kind", "person", "channel", "source", "medium", "campaign", "content", "term", "utm_id",
        "the_message", "the_fact",
    ]  # fmt: skip

    @admin.display(description=_("person"))
    def person(self, touch: Touch) -> SafeString | str:
        return show.page_of("segments_profile", touch.profile_id, touch.profile)

    @admin.display(description=_("message"))
    def the_message(self, touch: Touch) -> SafeString | str:
        return show.page_of("messaging_delivery", touch.delivery, f"#{touch.delivery}")

    @admin.display(description=_("fact"))
    def the_fact(self, touch: Touch) -> SafeString | str:
        return show.page_of("segments_event", touch.fact, f"#{touch.fact}")


@admin.register(Conversion)
class ConversionAdmin(ReadOnly, LargePage):
    """Goal facts, once each, with the touches before them and the credit under each model."""

    hint = _("No conversion yet. When a goal's event arrives, it is credited here.")
    list_display = ["at", "name", "person", "worth", "touches", "order_ref", "credited_at"]
    list_filter = [("name", FieldTextFilter), ("at", RangeDateFilter)]
    list_select_related = ["profile"]
    search_fields = ["=order_ref", "=key"]
    search_help_text = _("An exact order id")
    ordering = ["-id"]
    sortable_by: list[str] = []
    fields = ["at", "name", "person", "worth", "order_ref", "credited_at", "why", "the_fact"]

    @admin.display(description=_("person"))
    def person(self, row: Conversion) -> SafeString | str:
        return show.page_of("segments_profile", row.profile_id, row.profile)

    @admin.display(description=_("value"))
    def worth(self, row: Conversion) -> str:
        return show.money(row.value, row.currency)

    @admin.display(description=_("touches before it"))
    def touches(self, row: Conversion) -> str:
        return str(len(row.path))

    @admin.display(description=_("fact"))
    def the_fact(self, row: Conversion) -> SafeString | str:
        return show.page_of("segments_event", row.fact, f"#{row.fact}")

    @admin.display(description=_("credited because"))
    def why(self, row: Conversion) -> SafeString | str:
        """One line per touch and model: its share and its money."""
        shares = Credit.objects.filter(conversion=row).select_related("touch").order_by("model", "touch__at")
        if not shares:
            return gettext("Nothing before it earned credit: it counts as unattributed.")
        lines = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class='p-right'>{}</td><td class='p-right'>{}</td></tr>",
            (
                (
                    c.model,
                    f"{c.touch.at:%Y-%m-%d %H:%M}",
                    c.touch,
                    f"{c.weight:.0%}",
                    show.money(c.amount, row.currency),
                )
                for c in shares
            ),
        )
        return format_html('<table class="p-table">{}</table>', lines)


class ArmInline(TabularInline):
    """The arms and their shares, frozen once people are in them."""

    model = Arm
    extra = 0
    can_delete = False
    fields = ["position", "key", "weight", "control"]
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Experiment)
class ExperimentAdmin(ReadOnly, Page):
    """Draws: holdouts and splits. Journeys make them when they are published."""

    hint = _("No experiment yet. A journey with a holdout or a split step makes one when it is published.")
    list_display = ["title", "kind", "journey", "node", "started_at", "ended_at"]
    list_filter = [("kind", ChoicesDropdownFilter), ("journey", FieldTextFilter)]
    search_fields = ["key", "name", "journey"]
    ordering = ["-started_at"]
    fields = [
        "key",
        "name",
        "name_zh",
        "kind",
        "journey",
        "node",
        "metric",
        "salt",
        "planned_n",
        "started_at",
        "ended_at",
    ]
    inlines = [ArmInline]

    @admin.display(description=_("name"), ordering="name")
    def title(self, experiment: Experiment) -> str:
        return experiment.title
