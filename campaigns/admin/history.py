"""What was done with a journey, by whom and why: its part of the audit log in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from campaigns.models import Journey
from common.models import AuditEntry

WORDS: Mapping[str, Any] = {
    "journey.review": _("asked for a review"),
    "journey.review_withdrawn": _("took the request for a review back"),
    "journey.approved": _("approved the draft"),
    "journey.sent_back": _("sent the draft back"),
    "journey.publish": _("published"),
    "journey.roll_back": _("ran an older version again"),
    "journey.transfer": _("moved people to another version"),
    "journey.transfer_cancelled": _("stopped moving people"),
    "journey.paused": _("paused"),
    "journey.live": _("resumed"),
    "journey.archived": _("archived"),
    "journey.enrol": _("let people in"),
    "journey.install": _("installed from text"),
}


@dataclass(frozen=True)
class Deed:
    """One line of the history."""

    at: datetime
    actor: str
    what: str
    reason: str
    more: str


def history_of(journey: Journey, limit: int = 20) -> list[Deed]:
    """The newest deeds, one statement."""
    rows = AuditEntry.objects.filter(subject=f"journey:{journey.key}").order_by("-at", "-pk")[:limit]
    return [
        Deed(row.at, row.actor_name, str(WORDS.get(row.action, row.action)), row.reason, _more(row)) for row in rows
    ]


def _more(row: AuditEntry) -> str:
    """Version and people, where there are any."""
    parts = []
    if row.detail.get("version"):
        parts.append(gettext("version %(n)s") % {"n": row.detail["version"]})
    if row.detail.get("to"):
        parts.append(gettext("version %(n)s") % {"n": row.detail["to"]})
    people = row.detail.get("people") or row.detail.get("audience")
    if people:
        parts.append(gettext("people: %(n)s") % {"n": people})
    return ", ".join(parts)
