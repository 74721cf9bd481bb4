"""How old the oldest message is that should have been sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Min
from django.utils.translation import gettext as _

from config.doctor import Finding, exam, red
from messaging.models import Delivery

OVERDUE = timedelta(minutes=5)


@exam("P009")
def due(at: datetime) -> Iterator[Finding]:
    oldest = Delivery.objects.filter(state="planned", not_before__lte=at).aggregate(v=Min("not_before"))["v"]
    if oldest and at - oldest > OVERDUE:
        text = _("the oldest due message has waited %d min") % ((at - oldest).total_seconds() // 60)
        yield red("P009", text, _("look for pauses, accounts that are held, and the worker's log"))
