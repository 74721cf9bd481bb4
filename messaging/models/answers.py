"""What comes back: links and their clicks, and every word a provider says later."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from messaging.models.content import TemplateVersion
from messaging.models.ledger import Delivery
from messaging.models.quarantine import Quarantine


class Link(models.Model):
    """One destination as it stands in one version and UTM set: what a click token names.

    `url` is the destination with UTM, byte for byte; empty when it depends on the person (then the signed
    token carries it).
    """

    version = models.ForeignKey(TemplateVersion, models.CASCADE, db_index=False, related_name="tracked_links")
    locale = models.CharField(max_length=20)
    position = models.PositiveSmallIntegerField(_("position"))
    alias = models.CharField(_("alias"), max_length=80, blank=True)
    scope = models.CharField(max_length=120, blank=True, help_text=_("journey:node that set the UTM"))
    url = models.TextField(_("destination"), blank=True)
    digest = models.CharField(max_length=64, unique=True)

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        indexes = [models.Index(fields=["version", "locale", "position"], name="link_place")]

    def __str__(self) -> str:
        return self.alias or self.url[:60]


class Click(models.Model):
    """One request for a link or the open pixel, raw, with our reading of who made it.

    `why` is WAITING while other clicks on the same message may still show that a machine made it.
    """

    WAITING = "waiting"

    class Kind(models.TextChoices):
        CLICK = "click", _("click")
        OPEN = "open", _("open")

    delivery = models.ForeignKey(Delivery, models.CASCADE, db_index=False, related_name="clicks")
    link = models.ForeignKey(Link, models.SET_NULL, null=True, related_name="clicks")
    kind = models.CharField(_("kind"), max_length=5, choices=Kind)
    at = models.DateTimeField(_("time"), db_index=True)
    machine = models.BooleanField(_("machine"), default=False)
    why = models.CharField(_("why machine"), max_length=40, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=400, blank=True)
    ip = models.GenericIPAddressField(_("IP"), null=True)

    class Meta:
        verbose_name = _("click or open")
        verbose_name_plural = _("clicks and opens")
        indexes = [
            models.Index(fields=["delivery", "kind", "at"], name="click_delivery"),
            models.Index(fields=["at"], name="click_waiting", condition=models.Q(why="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class Receipt(models.Model):
    """One later word about a message, normalised, with the raw kept; unique by the provider's natural key.

    `held`: it waits in a quarantine for a person's decision, and has done nothing yet.
    """

    class Kind(models.TextChoices):
        DELIVERED = "delivered", _("delivered")
        SOFT = "soft", _("soft bounce")
        HARD = "hard", _("hard bounce")
        COMPLAINED = "complained", _("complained")
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
        OPENED = "opened", _("opened")
        CLICKED = "clicked", _("clicked")
        REJECTED = "rejected", _("rejected")
        HEARD = "heard", _("written back")
        OTHER = "other", _("other")

    delivery = models.ForeignKey(Delivery, models.CASCADE, null=True, related_name="receipts")
    provider = models.CharField(_("provider"), max_length=40)
    natural_key = models.CharField(max_length=255)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    at = models.DateTimeField(_("time"))
    received_at = models.DateTimeField(_("received"))
    matched_at = models.DateTimeField(null=True)
    held = models.BooleanField(default=False, db_default=False)
    quarantine = models.ForeignKey(Quarantine, models.SET_NULL, null=True, db_index=False, related_name="receipts")
    raw = models.JSONField(_("raw"), default=dict)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [models.UniqueConstraint(fields=["provider", "natural_key"], name="receipt_once")]
        indexes = [
            models.Index(fields=["received_at"], name="receipt_unmatched", condition=models.Q(matched_at__isnull=True)),
            models.Index(
                fields=["received_at"],
                name="receipt_waiting",
                condition=models.Q(matched_at__isnull=True, held=False),
            ),
            models.Index(fields=["quarantine", "id"], name="receipt_held", condition=models.Q(held=True)),
            models.Index(
                fields=["provider", "kind", "received_at"],
                name="receipt_harm",
                condition=models.Q(kind__in=["soft", "hard", "complained", "unsubscribed"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"
