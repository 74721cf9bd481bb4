"""Words of a source that suddenly reports far more harm than its messages bear: set aside until a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from common.states import in_choices


class Quarantine(models.Model):
    """One flood of one source (an account's key), from the word that showed it until a person has decided.

    `kind` is the Receipt.Kind that was too many: `words` of them within a day against `messages` that left in three.
    """

    class State(models.TextChoices):
        OPEN = "open", _("waits for a decision")
        RELEASING = "releasing", _("being applied")
        DROPPING = "dropping", _("being dropped")
        RELEASED = "released", _("applied")
        DROPPED = "dropped", _("dropped")

    MOVES: ClassVar[Mapping[str, frozenset[str]]] = {
        State.OPEN: frozenset({"releasing", "dropping"}),
        State.RELEASING: frozenset({"released"}),
        State.DROPPING: frozenset({"dropped"}),
    }

    provider = models.CharField(_("source"), max_length=40)
    kind = models.CharField(_("kind"), max_length=12)
    words = models.PositiveIntegerField(_("words in a day"))
    messages = models.PositiveIntegerField(_("messages in three days"))
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField(_("since"))
    decided_at = models.DateTimeField(_("decided"), null=True)
    decided_by = models.CharField(_("decided by"), max_length=150, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    done_at = models.DateTimeField(_("done"), null=True)

    class Meta:
        verbose_name = _("quarantine")
        verbose_name_plural = _("quarantines")
        constraints = [
            models.UniqueConstraint(fields=["provider"], condition=Q(state="open"), name="quarantine_once"),
            in_choices("quarantine_state", "state", ["open", "releasing", "dropping", "released", "dropped"]),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"
