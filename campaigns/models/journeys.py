"""Campaigns and the journeys in them, with their frozen versions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.experiments import Experiment
from common.models.named import Named
from common.states import in_choices


class Campaign(Named):
    """A purpose with a goal, a window, a UTM name, what it may cost, and a default holdout.

    `holdout` is a share from 0 to 1; empty means off. Spend is in minor units of `currency`.
    """

    utm_campaign = models.SlugField(_("UTM campaign"), max_length=100, allow_unicode=True)
    utm_source = models.CharField(_("UTM source"), max_length=100, blank=True)
    holdout = models.FloatField(_("holdout"), null=True, blank=True)
    starts_at = models.DateTimeField(_("starts"), null=True, blank=True)
    ends_at = models.DateTimeField(_("ends"), null=True, blank=True)
    spend = models.BigIntegerField(_("spend"), default=0)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    priority = models.SmallIntegerField(_("priority"), default=0)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        constraints = [
            models.UniqueConstraint(fields=["utm_campaign"], name="campaign_utm_once"),
            models.CheckConstraint(
                condition=Q(holdout__isnull=True) | Q(holdout__gte=0, holdout__lte=1),
                name="campaign_holdout_share",
            ),
        ]


class Journey(Named):
    """A flow that people walk. `draft` is being edited; what runs is `live_version`.

    `editors` are those who wrote the draft since the last version ("user:7", "apikey:2").
    `reentry`: once, after exit, or after a cool-down (`cooldown`, a duration in seconds), or keyed by the trigger.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        REVIEW = "review", _("in review")
        LIVE = "live", _("live")
        PAUSED = "paused", _("paused")
        ARCHIVED = "archived", _("archived")

    MOVES = {
        "draft": frozenset({"review", "live", "archived"}),
        "review": frozenset({"draft", "live", "archived"}),
        "live": frozenset({"paused", "archived", "live"}),
        "paused": frozenset({"live", "archived"}),
        "archived": frozenset[str](),
    }

    class Reentry(models.TextChoices):
        ONCE = "once", _("once")
        AFTER_EXIT = "after_exit", _("after leaving")
        COOLDOWN = "cooldown", _("after a pause")
        KEYED = "keyed", _("once per key")

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="journeys", verbose_name=_("campaign"))
    description = models.TextField(_("description"), blank=True)
    description_zh = models.TextField(_("Chinese description"), blank=True)
    draft = models.JSONField(_("draft"), default=dict)
    editors = models.JSONField(default=list, db_default=[], editable=False)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.DRAFT)
    live_version = models.ForeignKey("JourneyVersion", models.PROTECT, null=True, blank=True, related_name="+")
    holdout = models.FloatField(_("holdout"), null=True, blank=True)
    experiment = models.OneToOneField(Experiment, models.PROTECT, null=True, blank=True, related_name="+")
    recipe = models.CharField(_("recipe"), max_length=80, blank=True)
    live_since = models.DateTimeField(_("live since"), null=True, blank=True)
    last_entry_at = models.DateTimeField(_("last entry"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("journey")
        verbose_name_plural = _("journeys")
        constraints = [
            in_choices("journey_state", "state", ["draft", "review", "live", "paused", "archived"]),
            models.CheckConstraint(
                condition=Q(holdout__isnull=True) | Q(holdout__gte=0, holdout__lte=1),
                name="journey_holdout_share",
            ),
        ]


class JourneyVersion(models.Model):
    """One published flow; frozen. `graph` holds trigger, nodes, exits and entry rules (campaigns.graph)."""

    journey = models.ForeignKey(Journey, models.PROTECT, db_index=False, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    graph = models.JSONField(_("flow"))
    digest = models.CharField(_("content hash"), max_length=64)
    published_at = models.DateTimeField(_("published"))
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("journey version")
        verbose_name_plural = _("journey versions")
        constraints = [models.UniqueConstraint(fields=["journey", "number"], name="journey_version_once")]

    def __str__(self) -> str:
        return f"{self.journey.key} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("published versions are frozen")
        super().save(*args, **kwargs)
