"""One joining of two profiles: who, why, and what the way back needs beside the origins of the rows."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from segments.models.people import Profile


class Merge(models.Model):
    """The profile `gone` became part of `into`.

    `kept` is what had to be changed or dropped beside moving, by the handler that did so; empty once undone.
    `finished_at` is empty while the rows of a large profile are still on their way; `rows_moved` says how many facts
    and orders have gone ahead, and `moved_at` when the last of them did.
    """

    gone = models.ForeignKey(Profile, models.CASCADE, related_name="merges", verbose_name=_("merged profile"))
    into = models.ForeignKey(Profile, models.CASCADE, related_name="merged", verbose_name=_("into"))
    at = models.DateTimeField(_("time"))
    actor_name = models.CharField(_("acted as"), max_length=150)
    reason = models.TextField(_("reason"), blank=True)
    kept = models.JSONField(default=dict, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True)
    rows_moved = models.BigIntegerField(_("rows gone ahead"), default=0, db_default=0)
    moved_at = models.DateTimeField(_("last moved"), null=True)
    undone_at = models.DateTimeField(_("undone"), null=True)
    undone_by = models.CharField(_("undone by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("merge")
        verbose_name_plural = _("merges")
        constraints = [
            models.UniqueConstraint(fields=["gone"], condition=Q(undone_at__isnull=True), name="merge_open_once")
        ]

    def __str__(self) -> str:
        return f"{self.gone_id} → {self.into_id}"
