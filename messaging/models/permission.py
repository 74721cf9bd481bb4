"""Permission: the address row that gate and unsubscribe lock, and the append-only ledger behind it."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.states import in_choices
from segments.models import Profile


class Topic(Named):
    """A subject people may take or leave: "offers", "service". `purpose` is the message class it serves."""

    purpose = models.CharField(_("purpose"), max_length=13, default="marketing")
    opt_in = models.BooleanField(_("needs consent first"), default=True)
    confirmation = models.CharField(
        _("confirm by"),
        max_length=80,
        blank=True,
        help_text=_("key of a transactional template with {{ event.confirm_url }}; empty: no second step"),
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    description_zh = models.CharField(_("Chinese description"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("topic")
        verbose_name_plural = _("topics")
        constraints = [in_choices("topic_purpose", "purpose", ["marketing", "lifecycle", "transactional"])]


class Address(models.Model):
    """One address of one channel, whoever carries it. Gate and unsubscribe lock this row.

    `refusals` is the derived current state: topic keys refused ("*" = everything but transactional), and
    `consents` the topic keys agreed to; both follow the Consent rows and are rewritten with them.
    """

    HELD = "held"  # in `suppressed`: a quarantined word is about it; marketing waits, and nothing is on record

    channel = models.CharField(_("channel"), max_length=20)
    value = models.CharField(_("address"), max_length=254)
    profile = models.ForeignKey(Profile, models.SET_NULL, null=True, related_name="addresses")
    consents = models.JSONField(_("agreed topics"), default=list)
    refusals = models.JSONField(_("refused topics"), default=list)
    suppressed = models.CharField(_("suppressed because"), max_length=20, blank=True)
    soft_bounces = models.PositiveSmallIntegerField(_("soft bounces in a row"), default=0)
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True)
    last_engaged_at = models.DateTimeField(_("last engaged"), null=True, blank=True)
    slowed_at = models.DateTimeField(_("slowed down"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"))
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("address")
        verbose_name_plural = _("addresses")
        constraints = [models.UniqueConstraint(fields=["channel", "value"], name="address_once")]

    def __str__(self) -> str:
        return f"{self.channel}:{self.value}"


class Consent(models.Model):
    """One statement of will, with its evidence; never changed, only followed by a later one.

    `purpose` is what the topic served when it was said. Pending is a yes that waits for its confirmation and means
    nothing until then.
    """

    class Action(models.TextChoices):
        GIVEN = "given", _("given")
        WITHDRAWN = "withdrawn", _("withdrawn")
        PENDING = "pending", _("to be confirmed")

    address = models.ForeignKey(Address, models.CASCADE, db_index=False, related_name="history")
    profile = models.ForeignKey(Profile, models.SET_NULL, null=True, related_name="consents")
    topic = models.CharField(_("topic"), max_length=80, help_text=_("topic key, or * for all"))
    purpose = models.CharField(_("purpose"), max_length=13, blank=True)
    action = models.CharField(_("action"), max_length=9, choices=Action)
    basis = models.CharField(_("basis"), max_length=20, default="express")
    source = models.CharField(_("source"), max_length=80)
    wording = models.CharField(_("wording version"), max_length=80, blank=True)
    at = models.DateTimeField(_("time"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    evidence = models.JSONField(_("evidence"), default=dict)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        indexes = [
            models.Index(fields=["address", "topic", "-at"], name="consent_latest"),
            models.Index(fields=["at"], name="consent_pending", condition=models.Q(action="pending")),
        ]
        constraints = [in_choices("consent_action", "action", ["given", "withdrawn", "pending"])]

    def __str__(self) -> str:
        return f"{self.topic} {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("consents are append-only")
        super().save(*args, **kwargs)


class Suppression(models.Model):
    """An address that gets nothing more, kept as a keyed hash so that it outlives erasure."""

    class Reason(models.TextChoices):
        HARD = "hard_bounce", _("hard bounce")
        SOFT = "soft_bounce", _("soft bounces")
        COMPLAINT = "complaint", _("complaint")
        MANUAL = "manual", _("by hand")
        ERASED = "erased", _("erased")
        SUNSET = "sunset", _("no engagement")

    channel = models.CharField(_("channel"), max_length=20)
    digest = models.CharField(_("keyed hash"), max_length=64)
    reason = models.CharField(_("reason"), max_length=12, choices=Reason)
    at = models.DateTimeField(_("time"))
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("suppression")
        verbose_name_plural = _("suppressions")
        constraints = [
            models.UniqueConstraint(fields=["channel", "digest"], name="suppression_once"),
            in_choices(
                "suppression_reason",
                "reason",
                ["hard_bounce", "soft_bounce", "complaint", "manual", "erased", "sunset"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.reason}"
