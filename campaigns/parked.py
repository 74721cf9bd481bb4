"""Parked walks: what a person who has mended the cause may do with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from campaigns.endings import Ending, end_walks
from campaigns.engine.tick import READER
from campaigns.models import Enrolment
from common.audit import record
from common.models import Parked
from common.states import move


def retry_parked(ids: Sequence[int], *, now: datetime, by: Any = None, reason: str = "") -> int:
    """Let parked walks try the step they failed at again, at once; returns how many were parked."""
    with transaction.atomic():
        rows = Enrolment.objects.filter(pk__in=ids)
        moved = move(
            rows.filter(state=Enrolment.State.PARKED), Enrolment.MOVES, "active", due_at=now, tries=0, reason=""
        )
        _resolve(ids, now=now, by=by, action="enrolment.retry", reason=reason)
    return moved


def drop_parked(ids: Sequence[int], *, now: datetime, by: Any = None, reason: str = "") -> int:
    """End parked walks; returns how many were parked."""
    with transaction.atomic():
        parked = Enrolment.objects.filter(pk__in=ids, state=Enrolment.State.PARKED).values_list("pk", flat=True)
        ended = end_walks([Ending(pk, reason or "dropped") for pk in parked], now=now)
        _resolve(ids, now=now, by=by, action="enrolment.drop", reason=reason)
    return ended


def _resolve(ids: Sequence[int], *, now: datetime, by: Any, action: str, reason: str) -> None:
    subjects = [f"enrolment:{pk}" for pk in ids]
    rows = Parked.objects.filter(reader=READER, subject__in=subjects, resolved_at__isnull=True)
    rows.update(resolved_at=now, resolved_by=str(by or "engine")[:150])
    detail = {"enrolments": list(ids)[:1000]}
    record(action, subjects[0] if len(subjects) == 1 else "enrolments", now=now, actor=by, reason=reason, detail=detail)
