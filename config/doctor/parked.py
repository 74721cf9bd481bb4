"""Work that was set aside because it failed for good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from common.models import Parked
from config.doctor import Finding, amber, exam


@exam("P015")
def parked(at: datetime) -> Iterator[Finding]:
    count = Parked.objects.filter(resolved_at=None).count()
    if count:
        yield amber("P015", _("%d items are parked") % count, "/admin/common/parked/")
