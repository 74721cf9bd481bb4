"""Experiments and holdouts: who was drawn into which arm, kept for good."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.states import in_choices
from segments.models import Profile


class Experiment(Named):
    """One draw: a holdout, or a split in a journey. The salt and weights are frozen once people are in it."""

    class Kind(models.TextChoices):
        HOLDOUT = "holdout", _("holdout")
        UNIVERSAL = "universal", _("universal holdout")
        SPLIT = "split", _("split")

    kind = models.CharField(_("kind"), max_length=9, choices=Kind)
    salt = models.CharField(_("salt"), max_length=80)
    journey = models.CharField(_("journey"), max_length=80, blank=True)
    node = models.CharField(_("step"), max_length=80, blank=True)
    metric = models.CharField(_("metric"), max_length=80, blank=True)
    planned_n = models.PositiveIntegerField(_("planned people"), default=5000)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("experiment")
        verbose_name_plural = _("experiments")
        constraints = [in_choices("experiment_kind", "kind", ["holdout", "universal", "split"])]


class Arm(models.Model):
    """One arm: its share, and whether it is the control that gets nothing."""

    experiment = models.ForeignKey(Experiment, models.CASCADE, db_index=False, related_name="arms")
    key = models.CharField(_("key"), max_length=40)
    position = models.PositiveSmallIntegerField(_("position"))
    weight = models.FloatField(_("weight"))
    control = models.BooleanField(_("control"), default=False)

    class Meta:
        verbose_name = _("arm")
        verbose_name_plural = _("arms")
        ordering = ["experiment", "position"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "key"], name="arm_once"),
            models.UniqueConstraint(fields=["experiment", "position"], name="arm_place"),
            models.CheckConstraint(condition=models.Q(weight__gte=0), name="arm_weight"),
        ]

    def __str__(self) -> str:
        return self.key


class Assignment(models.Model):
    """One person's arm, drawn once and kept (intention to treat counts these rows)."""

    experiment = models.ForeignKey(Experiment, models.CASCADE, db_index=False, related_name="assignments")
    profile = models.ForeignKey(Profile, models.CASCADE, related_name="assignments")
    arm = models.ForeignKey(Arm, models.CASCADE, related_name="+")
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        constraints = [models.UniqueConstraint(fields=["experiment", "profile"], name="assignment_once")]
        indexes = [models.Index(fields=["experiment", "arm", "at"], name="assignment_arm")]

    def __str__(self) -> str:
        return f"{self.profile_id} → {self.arm_id}"
