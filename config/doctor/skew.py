"""Whether this machine's clock and the database's agree; leases and slots use the latter alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from common import clock
from config.doctor import Finding, amber, exam

SKEW = timedelta(seconds=5)


@exam("P004")
def skew(at: datetime) -> Iterator[Finding]:
    off = abs(clock.now() - at)
    if off > SKEW:
        text = _("this machine's clock differs from the database's by %d s") % off.total_seconds()
        yield amber("P004", text, _("set both by NTP"))
