"""Deciding: a person approves or refuses a proposed variant; only an approved one may enter a template's draft."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from common.audit import record
from common.params import Invalid, Problem
from common.states import move
from messaging.copywriting.asking import said_of
from messaging.copywriting.kinds import put
from messaging.models import CopyDraft, Template
from messaging.saves import saving


def approve(draft: CopyDraft, *, now: datetime, by: Any) -> bool:
    """Approve a proposed variant; False when somebody decided it already. Raises Invalid with what the lints forbid."""
    errors = [one for one in said_of(draft.request, draft.parts) if one["severity"] == "error"]
    if errors:
        raise Invalid([Problem(one["part"], one["message"]) for one in errors])
    return _decide(draft, "approved", "copy.approved", now=now, by=by)


def refuse(draft: CopyDraft, *, now: datetime, by: Any, reason: str = "") -> bool:
    """Refuse a variant, also one that was approved and not used; False when it was decided otherwise already."""
    return _decide(draft, "refused", "copy.refused", now=now, by=by, reason=reason)


def _decide(draft: CopyDraft, to: str, action: str, *, now: datetime, by: Any, reason: str = "") -> bool:
    with transaction.atomic():
        rows = CopyDraft.objects.filter(pk=draft.pk)
        who = by if getattr(by, "pk", None) else None
        if not move(rows, CopyDraft.MOVES, to, decided_at=now, decided_by=who, reason=reason[:200]):
            return False
        record(action, f"template:{draft.request.template.key}", now=now, actor=by, reason=reason, detail=_of(draft))
    return True


def use(draft: CopyDraft, *, whole: bool, now: datetime, by: Any) -> bool:
    """Put an approved variant into its template's draft, once; False when it is not approved (any more). Publishing
    stays a right and a decision of its own."""
    with transaction.atomic():
        template = Template.objects.select_for_update(no_key=True).get(pk=draft.request.template_id)
        if template.archived:
            raise Invalid([Problem("", _("the template is archived"))])
        who = by if getattr(by, "pk", None) else None
        if not move(CopyDraft.objects.filter(pk=draft.pk), CopyDraft.MOVES, "used", used_at=now, used_by=who):
            return False
        with saving(template, now=now, by=by, came_by="copy"):
            put(template, draft.request.locale, draft.parts, whole=whole)
            template.revision += 1
            template.save(update_fields=["content", "revision", "updated_at"])
        detail = {**_of(draft), "whole": whole}
        record("copy.used", f"template:{template.key}", now=now, actor=by, detail=detail)
    return True


def _of(draft: CopyDraft) -> dict[str, Any]:
    """Where it came from, for the audit log."""
    asked = draft.request
    return {
        "locale": asked.locale,
        "segment": asked.segment,
        "variant": draft.number,
        "model": asked.model,
        "prompt": asked.digest,
    }
