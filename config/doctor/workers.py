"""Whether a worker gave a sign of life within the last 45 seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from common import heartbeat
from config.doctor import Finding, exam, red


@exam("P006")
def workers(at: datetime) -> Iterator[Finding]:
    if not heartbeat.alive("worker", at=at):
        yield red("P006", _("no worker is alive"), "manage.py run")
