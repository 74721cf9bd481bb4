"""What the facts that the engine states are called, where only their name is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from segments.facts import names

WORDS: Mapping[str, Any] = {
    names.SEGMENT_ENTERED: _("came into a segment"),
    names.SEGMENT_LEFT: _("left a segment"),
    names.LIST_ADDED: _("was put on a list"),
    names.LIST_REMOVED: _("was taken off a list"),
    names.STAGE_CHANGED: _("changed the stage"),
    names.RFM_CHANGED: _("changed the RFM cell"),
    names.HEALTH_CHANGED: _("changed the band of health"),
    names.HEALTH_SCORED: _("health moved"),
    names.POINTS_CHANGED: _("points changed"),
    names.LEVEL_REACHED: _("reached a level"),
    names.LEVEL_LOST: _("lost a level"),
    names.LEVEL_ENDING: _("will soon lose a level"),
    names.BADGE_AWARDED: _("got a badge"),
    names.MISSION_COMPLETED: _("completed a mission"),
    names.BENEFIT_GRANTED: _("got a benefit"),
    names.COUPON_REDEEMED: _("used a coupon"),
    names.COUPON_RETURNED: _("a coupon went back"),
    names.MERGED: _("merged with another profile"),
    names.ERASED: _("was erased"),
    names.CORRECTED: _("was corrected by a person"),
    names.CONSENT_CHANGED: _("consent changed"),
    names.PREFERENCE_CHANGED: _("chose how often to hear from us"),
    names.UNSUBSCRIBED: _("unsubscribed"),
    names.SUNSET: _("does not read us"),
    names.COMPLAINED: _("complained about a message"),
    names.BOUNCED: _("a message bounced"),
    names.MESSAGE_FAILED: _("a message failed"),
    names.MESSAGE_OPENED: _("opened a message"),
    names.MESSAGE_CLICKED: _("clicked in a message"),
    names.MESSAGE_REPLIED: _("wrote back to us"),
}


def fact_name(name: str) -> str:
    """A fact's name in the active language; a sender's own stays as it was sent."""
    return str(WORDS.get(name, name))
