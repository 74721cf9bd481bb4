"""Who is in a segment now, and every refresh, as lists that only the engine writes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from common.admin import LargePage, ReadOnly, show
from segments.models import Membership, SegmentRun
from segments.refresh.words import why_in_words


class Belonging(ReadOnly, LargePage):
    """Rows that say which person belongs to what, the newest first."""

    ordering = ["-id"]
    sortable_by: list[str] = []
    list_display_links = None

    @admin.display(description=_("person"))
    def person(self, row: Any) -> SafeString | str:
        return show.page_of("segments_profile", row.profile_id, row.profile)


@admin.register(Membership)
class MembershipAdmin(Belonging):
    """Who is in which segment now."""

    hint = _("Nobody is in this segment.")
    list_display = ["person", "the_segment", "entered_at"]
    list_filter = [("segment", RelatedDropdownFilter)]
    list_select_related = ["profile", "segment"]
    fields = list_display

    @admin.display(description=_("segment"))
    def the_segment(self, row: Membership) -> SafeString | str:
        return show.page_of("segments_segment", row.segment_id, row.segment.title)


@admin.register(SegmentRun)
class SegmentRunAdmin(ReadOnly, LargePage):
    """Every refresh: what it looked at, what changed, how long it took."""

    hint = _("No refresh has run yet: start the worker with its timetable (manage.py run).")
    list_display = ["started_at", "the_segment", "mode", "the_state", "candidates", "entered", "left", "size", "took"]
    list_filter = [
        ("segment", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("mode", ChoicesDropdownFilter),
        ("why", ChoicesDropdownFilter),
    ]
    list_select_related = ["segment"]
    ordering = ["-id"]
    sortable_by: list[str] = []
    fields = [*list_display, "the_choice", "as_of", "seen_at", "finished_at", "error"]

    @admin.display(description=_("segment"))
    def the_segment(self, run: SegmentRun) -> SafeString | str:
        return show.page_of("segments_segment", run.segment_id, run.segment.title)

    @admin.display(description=_("state"))
    def the_state(self, run: SegmentRun) -> SafeString | str:
        return show.state_of(run)

    @admin.display(description=_("why this pass"))
    def the_choice(self, run: SegmentRun) -> str:
        return why_in_words(run) or "–"

    @admin.display(description=_("took"))
    def took(self, run: SegmentRun) -> str:
        return took(run)


def took(run: SegmentRun) -> str:
    """How long a refresh took."""
    return f"{(run.finished_at - run.started_at).total_seconds():.2f} s" if run.finished_at else "–"
