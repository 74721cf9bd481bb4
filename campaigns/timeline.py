"""Enrolments, touches and conversions as strands of a person's timeline, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.models import Conversion, Enrolment, Touch
from campaigns.reasons import in_words
from common.money import format_money
from segments.timeline import Moment, Strand, strands


@strands.register("enrolments")
class Enrolments(Strand):
    """Every entry into a journey, and every entry refused: why, and how it ended."""

    key = "enrolments"
    title = gettext_lazy("enrolments")

    def before(self, profile: int, until: datetime, limit: int) -> Sequence[Moment]:
        rows = Enrolment.objects.filter(profile=profile, entered_at__lt=until).select_related("journey")
        return [self._moment(row) for row in rows.order_by("-entered_at", "-id")[:limit]]

    def _moment(self, row: Enrolment) -> Moment:
        parts = [in_words(row.reason), _("held out: walks as a ghost") if row.ghost else "", row.node and _at(row.node)]
        return Moment(
            at=row.entered_at,
            kind="enrolment",
            icon="route",
            title=_("Journey: %(journey)s") % {"journey": row.journey.title},
            why=" — ".join(part for part in parts if part),
            state=row.state,
            state_text=str(row.get_state_display()),
            to=("campaigns_enrolment", row.pk),
        )


def _at(node: str) -> str:
    return _("at the step %(node)s") % {"node": node}


@strands.register("credit")
class CreditStrand(Strand):
    """Touches that may earn credit, and conversions with the touches before them."""

    key = "credit"
    title = gettext_lazy("touches and conversions")

    def before(self, profile: int, until: datetime, limit: int) -> Sequence[Moment]:
        touches = Touch.objects.filter(profile=profile, at__lt=until).order_by("-at")[:limit]
        conversions = Conversion.objects.filter(profile=profile, at__lt=until).order_by("-at")[:limit]
        return [self._touch(row) for row in touches] + [self._conversion(row) for row in conversions]

    def _touch(self, row: Touch) -> Moment:
        utm = " / ".join(part for part in (row.source, row.medium, row.campaign, row.content) if part)
        title = _("Touch: %(kind)s") % {"kind": row.get_kind_display()}
        return Moment(row.at, "credit", "touch_app", title, utm, to=("campaigns_touch", row.pk))

    def _conversion(self, row: Conversion) -> Moment:
        why = _("credited to %(n)s touches before it") % {"n": len(row.path)} if row.path else _("no touch before it")
        value = format_money(row.value, row.currency or settings.CURRENCY)
        title = _("Conversion: %(event)s, %(value)s") % {"event": row.name, "value": value}
        return Moment(row.at, "credit", "paid", title, why, to=("campaigns_conversion", row.pk))
