"""What a person wishes beyond yes and no: how often, not for a while; and the hour at which they read."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.states import in_choices
from segments.models import Profile


class Preference(models.Model):
    """One person's own limit on marketing over all channels (blank: none) and their break.

    `replaces`: an operator's exception, which stands instead of the installation's limits on marketing rather than
    beside them.
    """

    class Period(models.TextChoices):
        DAY = "day", _("calendar day")
        WEEK = "week", _("calendar week")
        MONTH = "month", _("calendar month")

    profile = models.OneToOneField(Profile, models.CASCADE, primary_key=True, related_name="preference")
    at_most = models.PositiveSmallIntegerField(
        _("at most"), null=True, blank=True, help_text=_("messages; empty is off, 0 is none")
    )
    period = models.CharField(_("within"), max_length=5, choices=Period, default=Period.WEEK)
    replaces = models.BooleanField(_("instead of the usual limits"), default=False)
    paused_until = models.DateTimeField(_("wants a break until"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"))
    source = models.CharField(_("source"), max_length=80, blank=True)

    class Meta:
        verbose_name = _("preference")
        verbose_name_plural = _("preferences")
        indexes = [models.Index(fields=["period"], name="preference_limits", condition=models.Q(at_most__isnull=False))]
        constraints = [in_choices("preference_period", "period", ["day", "week", "month"])]

    def __str__(self) -> str:
        return f"{self.profile_id}: {self.at_most}/{self.period}"


class BestHour(models.Model):
    """The local hour at which a person answers in a channel (segments of one: see messaging.best_hours)."""

    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="best_hours")
    channel = models.CharField(_("channel"), max_length=20)
    hour = models.PositiveSmallIntegerField(_("hour"))
    events = models.PositiveIntegerField(_("own events"), default=0)
    computed_at = models.DateTimeField(_("computed"))

    class Meta:
        verbose_name = _("best hour")
        verbose_name_plural = _("best hours")
        constraints = [
            models.UniqueConstraint(fields=["profile", "channel"], name="best_hour_once"),
            models.CheckConstraint(condition=models.Q(hour__lt=24), name="best_hour_range"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.hour}:00"
