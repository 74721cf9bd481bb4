"""Whether the ledger of messages agrees with itself, as it was counted last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from config.doctor import Finding, amber, exam, red
from messaging.outbox.books import is_due, standing


@exam("P018")
def books(at: datetime) -> Iterator[Finding]:
    alarms, last = standing(at)
    for row in alarms:
        codes = ", ".join(f"{one['code']} {one['count']}" for one in row.findings)
        text = _("the books of %(day)s do not fit: %(codes)s") % {"day": row.day.isoformat(), "codes": codes}
        yield red("P018", text, "/admin/messaging/reconciliation/")
    if is_due(last, at):
        yield amber("P018", _("the ledger of messages has not been counted for two days"), _("read the worker's log"))
