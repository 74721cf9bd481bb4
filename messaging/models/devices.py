"""The devices behind a push address: will and suppression are a person's in a channel, tokens are the devices'."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from messaging.models.permission import Address


class Device(models.Model):
    """One app or browser that takes a person's push messages, by the token its service gave it.

    `token` is what the provider is told (FCM's registration token, the endpoint of a web push subscription) and `keys`
    what it is encrypted with; both are secrets. A device belongs to one person: whoever registered it last.
    """

    address = models.ForeignKey(Address, models.CASCADE, related_name="devices")
    channel = models.CharField(_("channel"), max_length=20)
    digest = models.CharField(_("hash of the token"), max_length=64)
    token = models.TextField(_("token"))
    keys = models.JSONField(_("keys"), default=dict)
    label = models.CharField(_("device"), max_length=200, blank=True)
    registered_at = models.DateTimeField(_("registered"))
    seen_at = models.DateTimeField(_("last seen"))
    gone_at = models.DateTimeField(_("gone"), null=True)
    gone_because = models.CharField(_("gone because"), max_length=60, blank=True)

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        constraints = [models.UniqueConstraint(fields=["channel", "digest"], name="device_once")]
        indexes = [models.Index(fields=["address"], name="device_live", condition=Q(gone_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.channel}:{self.digest[:12]}"
