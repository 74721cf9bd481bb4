"""Write keys of sources: several may be usable at once, so that a program can change its key without losing a call."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from common.audit import record
from common.models import ApiKey
from segments.models import Source

SCOPES = ["ingest"]


def subject_of(source: Source) -> str:
    """How a key names its source."""
    return f"source:{source.key}"


def keys_of(source: Source) -> QuerySet[ApiKey]:
    """All keys the source ever had, the newest first."""
    return ApiKey.objects.filter(subject=subject_of(source)).order_by("-created_at", "-pk")


def rotate(source: Source, *, overlap: timedelta, now: datetime, actor: Any = None) -> tuple[ApiKey, str]:
    """Issue a key; those of the source that are usable now end after `overlap`. Returns the key and its secret."""
    with transaction.atomic():
        usable = keys_of(source).filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=now + overlap))
        ended = usable.update(expires_at=now + overlap)
        key, secret = ApiKey.issue(source.name[:120], SCOPES, now=now, subject=subject_of(source))
        by = actor if getattr(actor, "pk", None) else None
        ApiKey.objects.filter(pk=key.pk).update(created_by=by)
        detail = {"ending": ended, "overlap_seconds": int(overlap.total_seconds())}
        record("key.rotate", subject_of(source), now=now, actor=actor, detail=detail)
    return key, secret


def revoke(source: Source, pk: int, *, now: datetime, actor: Any = None, reason: str = "") -> bool:
    """Refuse a key of the source from now on; returns whether that is new."""
    with transaction.atomic():
        key = keys_of(source).filter(pk=pk).first()
        if key is None or not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            return False
        record(
            "key.revoke", f"key:{key.prefix}", now=now, actor=actor, reason=reason,
            detail={"subject": key.subject, "last_used": key.last_used_at and key.last_used_at.isoformat()},
        )  # fmt: skip
    return True
