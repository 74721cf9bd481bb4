"""Messages and consents as strands of a person's timeline, each with the reason it went out or did not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import Consent, Delivery
from messaging.reasons import in_words
from segments.timeline import Moment, Strand, strands

ICONS = {"email": "mail", "sms": "sms", "inbox": "inbox", "push": "notifications"}


@strands.register("messages")
class Messages(Strand):
    """Every planned message: sent, skipped, held or failed, and why."""

    key = "messages"
    title = gettext_lazy("messages")

    def before(self, profile: int, until: datetime, limit: int) -> Sequence[Moment]:
        rows = Delivery.objects.filter(profile=profile, planned_at__lt=until).select_related("version__template")
        return [self._moment(row) for row in rows.order_by("-planned_at", "-id")[:limit]]

    def _moment(self, row: Delivery) -> Moment:
        return Moment(
            at=row.planned_at,
            kind="message",
            icon=ICONS.get(row.channel, "outgoing_mail"),
            title=row.version.template.title,
            why=why(row),
            state=row.state,
            state_text=str(row.get_state_display()),
            to=("messaging_delivery", row.pk),
        )


@strands.register("consents")
class Consents(Strand):
    """Statements of will, with where they came from."""

    key = "consents"
    title = gettext_lazy("consents")

    def before(self, profile: int, until: datetime, limit: int) -> Sequence[Moment]:
        rows = Consent.objects.filter(profile=profile, at__lt=until).select_related("address")
        return [
            Moment(
                at=row.at,
                kind="consent",
                icon="verified_user",
                title=_("Consent for %(topic)s by %(channel)s")
                % {"topic": _topic(row), "channel": row.address.channel},
                why=row.source,
                state=row.action,
                state_text=str(row.get_action_display()),
                to=("messaging_address", row.address_id),
            )
            for row in rows.order_by("-at", "-id")[:limit]
        ]


def _topic(row: Consent) -> Any:
    return _("everything") if row.topic == "*" else row.topic


def why(row: Delivery) -> str:
    """Why this message exists, and why it stands where it stands."""
    origin = " · ".join(part for part in (row.journey or row.campaign, row.node, row.variant) if part)
    parts = [_("sent because of %(origin)s") % {"origin": origin}] if origin else []
    if row.reason:
        parts.append(in_words(row.reason))
    if row.ghost and row.reason != "holdout":
        parts.append(_("held out: walks as a ghost, receives nothing"))
    if row.clicked_at:
        parts.append(_("clicked"))
    elif row.opened_at:
        parts.append(_("opened"))
    return " — ".join(parts)
