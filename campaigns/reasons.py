"""Stored reasons of walks and visits in words: rows keep short keys ("present:…"), people read sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import reasons
from segments.facts.words import fact_name

# The part before the first colon → its sentence; %(of)s is the rest.
WORDS: Mapping[str, Any] = {
    "present": gettext_lazy("was in the segment when the journey was published"),
    "slot": gettext_lazy("the schedule's turn at %(of)s"),
    "campaign_closed": gettext_lazy("not let in: the campaign is not open"),
    "depth": gettext_lazy("not let in: too many journeys set each other off"),
    "under_way": gettext_lazy("not let in: is in the journey already"),
    "once": gettext_lazy("not let in: was in the journey before"),
    "cooldown": gettext_lazy("not let in: was in the journey lately"),
    "per_day": gettext_lazy("not let in: as many came today as may"),
    "in_flight": gettext_lazy("not let in: as many are under way as may"),
    "date": gettext_lazy("the day of %(of)s"),
    "journey": gettext_lazy("came from the journey %(of)s"),
    "shut_out": gettext_lazy("the other journey did not let them in"),
    "failed": gettext_lazy("the step failed: %(of)s"),
    "nothing to update": gettext_lazy("there was nothing to update"),
    "no such date": gettext_lazy("no such date is known"),
    "the date has passed": gettext_lazy("the date has passed"),
    "goal": gettext_lazy("reached the goal %(of)s"),
    "exit": gettext_lazy("left by the rule: %(of)s"),
    "archived": gettext_lazy("the journey was archived"),
    "dropped": gettext_lazy("ended by a person"),
    "held out": gettext_lazy("held out: nothing was sent or given"),
    "no coupon left in": gettext_lazy("no coupon was left in %(of)s"),
}


def in_words(reason: str) -> str:
    """The sentence of a stored reason, or sentences; what is not known stays as it is (an error, a person's text)."""
    return "; ".join(_one(part) for part in reason.split("; "))


def _one(reason: str) -> str:
    key, _colon, rest = reason.partition(":")
    if key == "fact":
        return _("because of: %(of)s") % {"of": fact_name(rest)}
    if reason.startswith("no coupon left in "):
        key, rest = "no coupon left in", reason.removeprefix("no coupon left in ").strip("'")
    return str(WORDS[key]) % {"of": rest} if key in WORDS else reasons.in_words(reason)
