"""Messages of which nobody knows whether they arrived."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from config.doctor import Finding, amber, exam
from messaging.models import Delivery


@exam("P014")
def doubt(at: datetime) -> Iterator[Finding]:
    count = Delivery.objects.filter(state="in_doubt").count()
    if count:
        yield amber(
            "P014",
            _("%d messages are in doubt") % count,
            _("they settle by proof or by age; see docs/delivery.md"),
        )
