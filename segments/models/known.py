"""What is worked out about a person: one narrow row each, the edges it was scored by, stage history."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.states import in_choices
from segments.models.people import Profile


class Stage(models.TextChoices):
    """Where a person stands in the life cycle with us."""

    PROSPECT = "prospect", _("prospect")
    NEWCOMER = "newcomer", _("newcomer")
    GROWING = "growing", _("growing")
    MATURE = "mature", _("mature")
    AT_RISK = "at_risk", _("at risk")
    LAPSED = "lapsed", _("lapsed")


STAGES = ["prospect", "newcomer", "growing", "mature", "at_risk", "lapsed"]


class RfmEdges(models.Model):
    """The frozen cut points of one RFM run: four edges each for recency (days), frequency, money (minor units).

    `gaps` are the population's usual silences, from which the life cycle is judged: {warn, churn} after any order,
    {first_warn, first_churn} after the first one, in days.
    """

    computed_at = models.DateTimeField(_("computed"), db_index=True)
    window_days = models.PositiveIntegerField(_("window in days"), default=365)
    money = models.CharField(_("money"), max_length=4, default="sum")
    mode = models.CharField(_("mode"), max_length=10, default="quantile")
    recency = models.JSONField(_("recency edges"), default=list)
    frequency = models.JSONField(_("frequency edges"), default=list)
    monetary = models.JSONField(_("money edges"), default=list)
    means = models.JSONField(_("means"), default=dict)
    gaps = models.JSONField(_("gaps between orders in days"), default=dict)
    population = models.PositiveIntegerField(_("people scored"), default=0)

    class Meta:
        verbose_name = _("RFM edges")
        verbose_name_plural = _("RFM edges")

    def __str__(self) -> str:
        return f"{self.computed_at:%Y-%m-%d} ({self.population})"


class Scores(models.Model):
    """The current knowledge of one person. `next_change_at` is when silence alone may change it next."""

    profile = models.OneToOneField(Profile, models.CASCADE, primary_key=True, related_name="scores")
    edges = models.ForeignKey(RfmEdges, models.SET_NULL, null=True, related_name="+")
    r = models.PositiveSmallIntegerField(_("R"), null=True)
    f = models.PositiveSmallIntegerField(_("F"), null=True)
    m = models.PositiveSmallIntegerField(_("M"), null=True)
    cell = models.CharField(_("RFM cell"), max_length=20, blank=True)
    octant = models.CharField(_("value octant"), max_length=20, blank=True)
    orders = models.PositiveIntegerField(_("orders in the window"), default=0)
    spent = models.BigIntegerField(_("spent in the window"), default=0)
    first_order_at = models.DateTimeField(_("first order"), null=True)
    last_order_at = models.DateTimeField(_("last order"), null=True)
    orders_ever = models.PositiveIntegerField(_("orders ever"), default=0)
    spent_ever = models.BigIntegerField(_("spent ever"), default=0)
    gap_days = models.FloatField(_("own usual gap in days"), null=True)
    stage = models.CharField(_("stage"), max_length=10, choices=Stage, default=Stage.PROSPECT)
    stage_since = models.DateTimeField(_("in the stage since"), null=True)
    stage_next = models.CharField(max_length=10, blank=True)
    stage_next_since = models.DateTimeField(null=True)
    won_back_until = models.DateTimeField(_("won back until"), null=True)
    health = models.FloatField(_("health"), null=True)
    health_band = models.CharField(_("health band"), max_length=12, blank=True)
    health_detail = models.JSONField(default=dict)
    computed_at = models.DateTimeField(_("computed"))
    next_change_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("scores")
        verbose_name_plural = _("scores")
        constraints = [in_choices("scores_stage", "stage", STAGES)]
        indexes = [
            models.Index(fields=["stage"], name="scores_stage"),
            models.Index(fields=["cell"], name="scores_cell"),
            models.Index(fields=["next_change_at"], name="scores_next_change"),
        ]

    def __str__(self) -> str:
        return f"{self.stage} {self.cell}"


class StageChange(models.Model):
    """One move between stages, with the reason as a key and numbers (segments.stage_reasons)."""

    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="stage_changes")
    at = models.DateTimeField(_("time"))
    before = models.CharField(_("from"), max_length=10, blank=True)
    after = models.CharField(_("to"), max_length=10)
    reason = models.CharField(_("reason"), max_length=200)

    class Meta:
        verbose_name = _("stage change")
        verbose_name_plural = _("stage changes")
        indexes = [
            models.Index(fields=["profile", "at"], name="stage_change_person"),
            models.Index(fields=["at"], name="stage_change_at"),
        ]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"
