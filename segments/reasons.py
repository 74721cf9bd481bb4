"""Stored reasons of points, badges and benefits in words; a text that a person wrote stays as it is."""

from __future__ import annotations

from django.utils.translation import gettext as _

JOURNEY = "journey:"  # then the journey's key, ":" and the step's
REFUND = "refund of "


def in_words(reason: str) -> str:
    """The sentence of a stored reason, in the active language."""
    if reason.startswith(JOURNEY):
        journey, _colon, node = reason.removeprefix(JOURNEY).partition(":")
        return _("by the journey %(journey)s, step %(node)s") % {"journey": journey, "node": node or "–"}
    if reason.startswith(REFUND):
        return _("refund of the order %(order)s") % {"order": reason.removeprefix(REFUND)}
    return _("they expired") if reason == "expired" else reason
