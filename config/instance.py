"""The fence round a copied database: an installation that finds another's stamp starts paused."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings

from common.models import Instance

REASON = "database of another installation"


def ensure_instance() -> Instance:
    """The one row; made with this installation's name (PERENNIAL_INSTANCE) or a random stamp."""
    row, _ = Instance.objects.get_or_create(id=1)
    if not row.stamp:
        row.stamp = settings.INSTANCE or uuid.uuid4().hex
        Instance.objects.filter(pk=row.pk, stamp="").update(stamp=row.stamp)
    return row


def stranger() -> str:
    """The stamp of the installation whose database this is, "" when it is ours (or we have no name)."""
    row = Instance.objects.filter(id=1).first()
    if row is None or not settings.INSTANCE or row.stamp in ("", settings.INSTANCE):
        return ""
    return row.stamp


def fence(*, now: datetime) -> bool:
    """Pause all sending when the database is another installation's; whether it is. Safe to repeat."""
    from messaging.models import Pause

    other = stranger()
    if not other:
        return False
    values = {"reason": f"{REASON}: {other}", "started_at": now, "started_by": "fence"}
    Pause.objects.get_or_create(scope="all", value="", ended_at=None, defaults=values)
    return True


def adopt(*, now: datetime, by: str) -> bool:
    """Make the database ours and lift the fence's own pause; whether there was anything to adopt."""
    from messaging.models import Pause

    if not stranger():
        return False
    Instance.objects.filter(id=1).update(stamp=settings.INSTANCE, confirmed_at=now)
    Pause.objects.filter(scope="all", ended_at=None, started_by="fence").update(ended_at=now, ended_by=by)
    return True
