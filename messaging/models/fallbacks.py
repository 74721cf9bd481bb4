"""The other ways by which a message may still reach its person, when the first of them surely did not."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from messaging.models.ledger import Delivery


class Fallback(models.Model):
    """One message with several ways: `delivery` is the try under way, `versions` those still to come, in order.

    Each try is a row of the ledger of its own, under the key of the first with ":f1", ":f2" … behind it; `story` lists
    the tries that ended before: {"delivery", "channel", "reason"}.
    """

    delivery = models.OneToOneField(Delivery, models.CASCADE, related_name="fallback", verbose_name=_("message"))
    key = models.CharField(max_length=200)
    versions = models.JSONField(_("ways to come"), default=list)
    story = models.JSONField(_("ways tried"), default=list)
    planned_at = models.DateTimeField(_("planned"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_why = models.CharField(_("ended because"), max_length=60, blank=True)

    class Meta:
        verbose_name = _("fallback")
        verbose_name_plural = _("fallbacks")
        constraints = [models.UniqueConstraint(fields=["key"], name="fallback_once")]
        indexes = [models.Index(fields=["id"], name="fallback_open", condition=Q(ended_at__isnull=True))]

    def __str__(self) -> str:
        return self.key
