"""Goals, touches, conversions and the credit between them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models.journeys import Campaign
from common.states import in_choices
from segments.models import Profile


class Goal(models.Model):
    """What a campaign hopes for: a fact, perhaps filtered, within a window after the touch."""

    class Anchor(models.TextChoices):
        TOUCH = "touch", _("click or visit")
        SEND = "send", _("send")

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="goals", verbose_name=_("campaign"))
    key = models.SlugField(_("key"), max_length=80)
    fact = models.CharField(_("event"), max_length=200)
    filter = models.JSONField(_("property filter"), default=dict, blank=True)
    window_days = models.PositiveSmallIntegerField(_("window in days"), default=5)
    anchor = models.CharField(_("counted from"), max_length=5, choices=Anchor, default=Anchor.TOUCH)
    primary = models.BooleanField(_("primary"), default=True)

    class Meta:
        verbose_name = _("goal")
        verbose_name_plural = _("goals")
        constraints = [
            models.UniqueConstraint(fields=["campaign", "key"], name="goal_once"),
            models.UniqueConstraint(fields=["campaign"], condition=models.Q(primary=True), name="goal_primary_once"),
            in_choices("goal_anchor", "anchor", ["touch", "send"]),
        ]

    def __str__(self) -> str:
        return self.key


class Touch(models.Model):
    """One contact that may earn credit: a human click, or a visit that carries UTM.

    `key` makes it once; a visit with our utm_id within 30 minutes of that person's click is that click's touch.
    """

    class Kind(models.TextChoices):
        CLICK = "click", _("click")
        VISIT = "utm_visit", _("visit with UTM")
        OPEN = "open", _("open")
        IMPORT = "import", _("imported")

    key = models.CharField(max_length=160, unique=True)
    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="touches")
    at = models.DateTimeField(_("time"))
    kind = models.CharField(_("kind"), max_length=9, choices=Kind)
    channel = models.CharField(_("channel"), max_length=20)
    source = models.CharField(_("source"), max_length=100, blank=True)
    medium = models.CharField(_("medium"), max_length=100, blank=True)
    campaign = models.CharField(_("campaign"), max_length=100, blank=True)
    content = models.CharField(_("content"), max_length=100, blank=True)
    term = models.CharField(_("term"), max_length=100, blank=True)
    utm_id = models.CharField(max_length=100, blank=True)
    delivery = models.BigIntegerField(null=True)
    fact = models.BigIntegerField(null=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("touch")
        verbose_name_plural = _("touches")
        indexes = [
            models.Index(fields=["profile", "at"], name="touch_person"),
            models.Index(fields=["at"], name="touch_at"),
        ]
        constraints = [in_choices("touch_kind", "kind", ["click", "utm_visit", "open", "import"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.source}/{self.medium}/{self.campaign}"


class Conversion(models.Model):
    """One goal fact, once across all campaigns, with the path of touches before it.

    `path` is a list of touch ids in order; `value` is in minor units of the reporting currency.
    """

    key = models.CharField(max_length=200, unique=True)
    profile = models.ForeignKey(Profile, models.CASCADE, related_name="conversions")
    fact = models.BigIntegerField(unique=True)
    name = models.CharField(_("event"), max_length=200)
    at = models.DateTimeField(_("time"))
    value = models.BigIntegerField(_("value"), default=0)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    order_ref = models.CharField(_("order"), max_length=120, blank=True)
    path = models.JSONField(_("path"), default=list)
    credited_at = models.DateTimeField(_("credited"), null=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("conversion")
        verbose_name_plural = _("conversions")
        indexes = [models.Index(fields=["at"], name="conversion_at")]

    def __str__(self) -> str:
        return self.key


class Credit(models.Model):
    """One touch's share of one conversion under one model: weights of a conversion and model sum to 1."""

    conversion = models.ForeignKey(Conversion, models.CASCADE, db_index=False, related_name="credits")
    touch = models.ForeignKey(Touch, models.CASCADE, related_name="credits")
    model = models.CharField(_("model"), max_length=20)
    weight = models.FloatField(_("weight"))
    amount = models.BigIntegerField(_("amount"))

    class Meta:
        verbose_name = _("credit")
        verbose_name_plural = _("credits")
        constraints = [models.UniqueConstraint(fields=["conversion", "model", "touch"], name="credit_once")]
        indexes = [models.Index(fields=["model", "conversion"], name="credit_model")]

    def __str__(self) -> str:
        return f"{self.model} {self.weight:.3f}"
