"""Back-tests: a draft walked by a sample of people through days that have been, in a store of its own."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models.journeys import Journey
from common.states import in_choices


class Rehearsal(models.Model):
    """One back-test: what was asked, how far it is, and what came of it.

    `draft` is the flow as it was when asked for. `seen_at` is the last sign of life of whoever is at it, on the host
    `place`, where its scratch store lies. `result` is that of campaigns.rehearsal.result.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    MOVES = {
        "queued": frozenset({"running", "cancelled"}),
        "running": frozenset({"done", "failed", "cancelled"}),
        "done": frozenset[str](),
        "failed": frozenset[str](),
        "cancelled": frozenset[str](),
    }

    journey = models.ForeignKey(Journey, models.CASCADE, db_index=False, related_name="rehearsals")
    draft = models.JSONField(_("flow"))
    days = models.PositiveSmallIntegerField(
        _("days"), default=30, validators=[MinValueValidator(1), MaxValueValidator(180)]
    )
    people = models.PositiveIntegerField(
        _("people, at most"), default=500, validators=[MinValueValidator(10), MaxValueValidator(5000)]
    )
    step_minutes = models.PositiveSmallIntegerField(
        _("minutes between two looks"), default=60, validators=[MinValueValidator(15), MaxValueValidator(1440)]
    )
    enter_present = models.BooleanField(_("those who are in the segment at the start enter"), default=False)
    until = models.DateTimeField(_("until"))
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.QUEUED)
    progress = models.FloatField(_("progress"), default=0)
    phase = models.CharField(max_length=12, blank=True, default="")
    place = models.CharField(max_length=255, blank=True, default="")
    seen_at = models.DateTimeField(null=True)
    error = models.TextField(_("error"), blank=True, default="")
    result = models.JSONField(_("result"), default=dict, blank=True)
    asked_at = models.DateTimeField(_("asked"))
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("back-test")
        verbose_name_plural = _("back-tests")
        constraints = [in_choices("rehearsal_state", "state", ["queued", "running", "done", "failed", "cancelled"])]
        indexes = [models.Index(fields=["journey", "-asked_at"], name="rehearsal_latest")]

    def __str__(self) -> str:
        return f"{self.journey.key} {self.asked_at:%Y-%m-%d %H:%M}"
