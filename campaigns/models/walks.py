"""Who walks which journey, where they stand, and every step they took."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from campaigns.models.journeys import Journey, JourneyVersion
from common.states import in_choices
from segments.models import Profile

SINCE = Coalesce("since", "entered_at")  # from when on facts count for a walk


class Enrolment(models.Model):
    """One walk of one person through one version.

    Waits for time (`due_at`), for a fact (`awaiting`, its name; `due_at` is then the time-out), or is being
    moved. `ghost` people are held out: they walk, but nothing is executed. A refused entry is a row too.
    `awaiting_since` is set while the walk rests at a step: from which moment on the awaited fact counts.
    `since` is the moment of the cause (null in old rows: of the entry): what occurred before it, though heard of
    later, neither ends the walk, nor counts as its goal, nor is what it waits for.
    `run_key` is '' unless the trigger names one (several runs of one person at once).
    """

    class State(models.TextChoices):
        ACTIVE = "active", _("under way")
        PARKED = "parked", _("parked")
        COMPLETED = "completed", _("completed")
        EXITED = "exited", _("left")
        REFUSED = "refused", _("refused")

    MOVES = {
        "active": frozenset({"parked", "completed", "exited"}),
        "parked": frozenset({"active", "exited"}),
        "completed": frozenset[str](),
        "exited": frozenset[str](),
        "refused": frozenset[str](),
    }

    journey = models.ForeignKey(Journey, models.PROTECT, db_index=False, related_name="enrolments")
    version = models.ForeignKey(JourneyVersion, models.PROTECT, related_name="enrolments")
    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="enrolments")
    entry_key = models.CharField(max_length=160)
    run_key = models.CharField(max_length=120, default="", blank=True)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.ACTIVE)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    ghost = models.BooleanField(_("held out"), default=False)
    arm = models.CharField(_("arm"), max_length=40, blank=True)
    node = models.CharField(_("step"), max_length=80, blank=True)
    visit = models.PositiveIntegerField(_("visits"), default=0)
    due_at = models.DateTimeField(_("due"), null=True)
    awaiting = models.CharField(_("waits for"), max_length=200, blank=True)
    awaiting_since = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    context = models.JSONField(_("variables"), default=dict)
    depth = models.PositiveSmallIntegerField(default=0)
    entered_at = models.DateTimeField(_("entered"))
    since = models.DateTimeField(_("facts count from"), null=True)
    moved_at = models.DateTimeField(_("moved"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    converted_at = models.DateTimeField(_("converted"), null=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("enrolment")
        verbose_name_plural = _("enrolments")
        constraints = [
            models.UniqueConstraint(fields=["journey", "profile", "entry_key"], name="enrolment_entry_once"),
            models.UniqueConstraint(
                fields=["journey", "profile", "run_key"],
                condition=Q(ended_at__isnull=True),
                name="enrolment_active_once",
            ),
            in_choices("enrolment_state", "state", ["active", "parked", "completed", "exited", "refused"]),
            models.CheckConstraint(
                condition=Q(state__in=["active", "parked"], ended_at__isnull=True)
                | Q(state__in=["completed", "exited", "refused"], ended_at__isnull=False),
                name="enrolment_end",
            ),
            models.CheckConstraint(
                condition=~Q(state="active") | Q(due_at__isnull=False) | ~Q(awaiting=""),
                name="enrolment_goes_on",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="enrolment_due", condition=Q(state="active")),
            models.Index(fields=["journey", "due_at", "id"], name="enrolment_turn", condition=Q(state="active")),
            models.Index(
                fields=["profile", "awaiting"],
                name="enrolment_awaiting",
                condition=Q(state="active") & ~Q(awaiting=""),
            ),
            models.Index(fields=["journey", "state", "node"], name="enrolment_place"),
            models.Index(fields=["profile", "entered_at"], name="enrolment_person"),
            models.Index(fields=["journey", "entered_at"], name="enrolment_entries"),
        ]

    def __str__(self) -> str:
        return f"{self.journey_id}:{self.profile_id} {self.state}"


class Visit(models.Model):
    """One stay of one enrolment at one node: how it came, how it left, and why."""

    enrolment = models.ForeignKey(Enrolment, models.CASCADE, db_index=False, related_name="visits")
    journey = models.ForeignKey(Journey, models.CASCADE, db_index=False, related_name="+")
    node = models.CharField(_("step"), max_length=80)
    n = models.PositiveIntegerField(_("number"))
    entered_at = models.DateTimeField(_("entered"))
    left_at = models.DateTimeField(_("left"), null=True)
    port = models.CharField(_("left by"), max_length=40, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("visit")
        verbose_name_plural = _("visits")
        constraints = [models.UniqueConstraint(fields=["enrolment", "n"], name="visit_once")]
        indexes = [models.Index(fields=["journey", "node", "entered_at"], name="visit_funnel")]

    def __str__(self) -> str:
        return f"{self.node} {self.port}"
