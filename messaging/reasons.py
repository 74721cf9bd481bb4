"""Stored reasons in words: rows keep short keys ("cap:email:day"), people read sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

# The part before the first colon → its sentence; %(of)s is the rest.
WORDS: Mapping[str, Any] = {
    "refused": _("the person refused: %(of)s"),
    "no_consent": _("no consent to: %(of)s"),
    "consent_expired": _("consent has expired: %(of)s"),
    "same_address": _("the same address got this already"),
    "same_content": _("the person got the same lately; days: %(of)s"),
    "erased": _("the person was erased"),
    "merged": _("the person was merged with another"),
    "expired": _("it came too late to be of use"),
    "quiet_hours": _("quiet hours where the person is"),
    "day_off": _("a day off where the person is"),
    "best_hour": _("waits for the hour at which the person reads: %(of)s"),
    "own": _("the person wants less: %(of)s"),
    "sunset": _("the person does not read us, and gets less"),
    "leaves": _("too many messages, so the person left the journey: %(of)s"),
    "priority": _("a message of higher priority goes first: %(of)s"),
    "no_address": _("the person has no address in this channel"),
    "suppressed": _("the address is suppressed: %(of)s"),
    "quarantine": _("the address waits for a decision about its provider's words"),
    "cap": _("as many messages as the cap allows: %(of)s"),
    "gap": _("too soon after the last one: %(of)s"),
    "paused": _("paused: %(of)s"),
    "pause": _("paused: %(of)s"),
    "journey_archived": _("the journey was archived"),
    "journey_paused": _("the journey is paused"),
    "left": _("the person left the journey: %(of)s"),
    "holdout": _("held out: walks as a ghost, receives nothing"),
    "no answer": _("it was being handed over, and no answer is known"),
    "late answer": _("settled by a late answer"),
    "claims": _("it ended its worker several times"),
    "re-send": _("sent once more after doubt"),
    "by_hand": _("cancelled by a person"),
    "by_hand_again": _("sent once more by a person, after doubt"),
    "feed": _("its feed gives no answer: %(of)s"),
    "fact": _("because of: %(of)s"),
    "instead_of": _("by another way, instead of: %(of)s"),
}


def in_words(reason: str) -> str:
    """The sentence of a stored reason; one that is not known stays as it is (a provider's answer, a person's text)."""
    key, _colon, rest = reason.partition(":")
    if key not in WORDS:
        return reason
    return (str(WORDS[key]) % {"of": rest or "–"}).removesuffix(": –")
