"""Sources whose words are held until a person decides about them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from config.doctor import Finding, exam, red
from messaging.overview import open_quarantines


@exam("P019")
def quarantine(at: datetime) -> Iterator[Finding]:
    for one in open_quarantines():
        text = _("%(source)s reports far more harm than was sent over it: decide whether its words are true")
        yield red("P019", text % {"source": one.provider}, f"/admin/messaging/quarantine/{one.pk}/change/")
