"""Segments that could not be refreshed, or have not been for a quarter of an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from config.doctor import Finding, amber, exam
from segments.models import Segment


@exam("P013")
def segments(at: datetime) -> Iterator[Finding]:
    for row in Segment.objects.filter(state="active"):
        if row.last_error:
            yield amber("P013", f"{row.key}: {row.last_error[:200]}", _("mend the rule of the segment"))
        elif row.refreshed_at is None or at - row.refreshed_at > timedelta(minutes=15):
            yield amber("P013", _("segment %s is out of date") % row.key, _("look at the worker's log"))
