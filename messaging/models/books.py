"""The books of the ledger: what became of the messages planned on one day, as it stood when it was counted."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Reconciliation(models.Model):
    """One day's messages (by `planned_at`, UTC): planned = sent + skipped + failed + waiting + in doubt, and what does
    not fit. Counted again while the day is young enough to change (messaging.outbox.books).

    `findings` are {"code", "count", "samples": public ids}; `alarms` counts those that must not be.
    """

    day = models.DateField(_("day"), unique=True)
    made_at = models.DateTimeField(_("counted"))
    planned = models.PositiveIntegerField(_("planned"))
    sent = models.PositiveIntegerField(_("sent"))
    skipped = models.PositiveIntegerField(_("skipped"))
    failed = models.PositiveIntegerField(_("failed"))
    waiting = models.PositiveIntegerField(_("waiting"))
    in_doubt = models.PositiveIntegerField(_("in doubt"))
    findings = models.JSONField(_("findings"), default=list)
    alarms = models.PositiveIntegerField(_("alarms"), default=0)

    class Meta:
        verbose_name = _("day's books")
        verbose_name_plural = _("daily books")

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"
