"""Second pairs of eyes on drafts, and the moves of people from older versions to a new one."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.journeys import Journey, JourneyVersion
from common.states import in_choices


class Review(models.Model):
    """One request to look at a draft before it is published, bound to exactly that draft by its `digest`.

    `audience` is the number of people it was estimated to reach when asked (null: nobody can say).
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("sent back")
        WITHDRAWN = "withdrawn", _("withdrawn")

    MOVES = {
        "open": frozenset({"approved", "refused", "withdrawn"}),
        "approved": frozenset[str](),
        "refused": frozenset[str](),
        "withdrawn": frozenset[str](),
    }

    journey = models.ForeignKey(Journey, models.CASCADE, related_name="reviews", verbose_name=_("journey"))
    digest = models.CharField(_("content hash"), max_length=64)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.OPEN)
    audience = models.PositiveBigIntegerField(_("estimated people"), null=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    asked_at = models.DateTimeField(_("asked"))
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    asked_name = models.CharField(_("asked by"), max_length=150)
    decided_at = models.DateTimeField(_("decided"), null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    decided_name = models.CharField(_("decided by"), max_length=150, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        ordering = ["-asked_at", "-id"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["journey"], condition=Q(state="open"), name="review_open_once"),
            in_choices("review_state", "state", ["open", "approved", "refused", "withdrawn"]),
        ]

    def __str__(self) -> str:
        return f"{self.journey_id} {self.state}"


class Transfer(models.Model):
    """People under way on older versions being moved to `version`, or out, in bounded batches.

    `plan` says for each older version (its number as text) and node where people go: a node of the new version,
    "@exit", or "@stay" for those who finish where they are. A killed process leaves a row that the next one goes on
    with: who has been moved is on the new version already.
    """

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        CANCELLED = "cancelled", _("cancelled")

    MOVES = {
        "running": frozenset({"done", "cancelled"}),
        "done": frozenset[str](),
        "cancelled": frozenset[str](),
    }

    journey = models.ForeignKey(Journey, models.CASCADE, related_name="transfers", verbose_name=_("journey"))
    version = models.ForeignKey(JourneyVersion, models.PROTECT, related_name="+", verbose_name=_("version"))
    plan = models.JSONField(_("where to"), default=dict)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.RUNNING)
    total = models.PositiveIntegerField(_("people"), default=0)
    kept = models.PositiveIntegerField(_("kept where they stood"), default=0)
    moved = models.PositiveIntegerField(_("moved"), default=0)
    exited = models.PositiveIntegerField(_("taken out"), default=0)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        ordering = ["-started_at", "-id"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["journey"], condition=Q(state="running"), name="transfer_running_once"),
            in_choices("transfer_state", "state", ["running", "done", "cancelled"]),
        ]

    def __str__(self) -> str:
        return f"{self.journey_id} → {self.version_id}: {self.done} / {self.total}"

    @property
    def done(self) -> int:
        """How many people have been dealt with."""
        return self.kept + self.moved + self.exited
