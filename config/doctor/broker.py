"""Whether hints can be sent; without them nothing starts, though nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from config.celery import app
from config.doctor import Finding, exam, red


@exam("P005", slow=True)
def broker(at: datetime) -> Iterator[Finding]:
    try:
        with app.connection_for_write(connect_timeout=2) as wire:
            wire.ensure_connection(max_retries=1, timeout=2)
            wire.default_channel  # noqa: B018 - asking for it opens it
    except Exception as error:  # noqa: BLE001 - any driver's own error means the same: no broker
        text = _("the broker does not answer: %s") % type(error).__name__
        yield red("P005", text, _("start it, or mend CELERY_BROKER_URL"))
