"""The one way to write the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from common.models import AuditEntry


def record(
    action: str,
    subject: str,
    *,
    now: datetime,
    actor: Any = None,
    reason: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """Append one entry: `actor` is a user, an ApiKey or None for the engine itself."""
    user = actor if getattr(actor, "is_authenticated", False) and getattr(actor, "pk", None) else None
    return AuditEntry.objects.create(
        at=now,
        actor=user,
        actor_name=str(actor or "engine")[:150],
        action=action,
        subject=subject,
        reason=reason,
        detail=detail or {},
    )
