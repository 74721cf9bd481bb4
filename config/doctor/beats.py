"""Whether a beat's loop turned within the last 45 seconds. More than one does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from common import heartbeat
from config.doctor import Finding, exam, red


@exam("P007")
def beats(at: datetime) -> Iterator[Finding]:
    if not heartbeat.alive("beat", at=at):
        yield red("P007", _("no beat is alive: nothing starts by itself"), "manage.py run")
