"""What is worked out about a person: narrow rows, the edges and rules they were scored by, what they were before."""

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

    `means` are the octants' thresholds on each axis: the means, the medians or fixed ones, as `halves` says.
    `gaps` are the population's usual silences, from which the life cycle is judged: {warn, churn} after any order,
    {first_warn, first_churn} after the first one, in days.
    """

    computed_at = models.DateTimeField(_("computed"), db_index=True)
    window_days = models.PositiveIntegerField(_("window in days"), default=365)
    money = models.CharField(_("money"), max_length=4, default="sum")
    mode = models.CharField(_("mode"), max_length=10, default="quantile")
    counted = models.CharField(_("what F counts"), max_length=6, default="orders")
    preset = models.CharField(_("preset of stages"), max_length=20, default="commerce")
    recency = models.JSONField(_("recency edges"), default=list)
    frequency = models.JSONField(_("frequency edges"), default=list)
    monetary = models.JSONField(_("money edges"), default=list)
    halves = models.CharField(_("limits of the quadrants"), max_length=6, default="mean")
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


class HealthRules(models.Model):
    """One frozen version of how health is judged. `params` holds each metric's own parameters, `declared` the bounds
    that an operator set, `bounds` those in force: declared ones, else percentiles of the population, else defaults.
    """

    computed_at = models.DateTimeField(_("computed"), db_index=True)
    weights = models.JSONField(_("weights"), default=dict)
    params = models.JSONField(_("parameters"), default=dict)
    declared = models.JSONField(_("bounds set by hand"), default=dict)
    bounds = models.JSONField(_("bounds"), default=dict)
    trend_weeks = models.PositiveSmallIntegerField(_("weeks of the trend"), default=2)
    population = models.PositiveIntegerField(_("people measured"), default=0)

    class Meta:
        verbose_name = _("health rules")
        verbose_name_plural = _("health rules")

    def __str__(self) -> str:
        return f"{self.computed_at:%Y-%m-%d} ({self.population})"


class Band(models.TextChoices):
    """How well somebody does with us; nothing is said of who is too little known."""

    HEALTHY = "healthy", _("healthy")
    WATCH = "watch", _("to watch")
    AT_RISK = "at_risk", _("at risk")


BANDS = ["", "healthy", "watch", "at_risk"]


class Health(models.Model):
    """How one person does: the score from 0 to 100 and the value of each metric, by one version of the rules.

    `trend` is the score less the score some weeks ago, by the same rules; `parts` and `parts_before` are the values
    of the metrics now and then. `pending_since` is when the score left the band without leaving it far.
    `next_change_at` is when silence alone may change the row next.
    """

    profile = models.OneToOneField(Profile, models.CASCADE, primary_key=True, related_name="health")
    rules = models.ForeignKey(HealthRules, models.SET_NULL, null=True, db_index=False, related_name="+")
    score = models.FloatField(_("health"), null=True)
    coverage = models.FloatField(_("coverage"), default=0)
    trend = models.FloatField(_("trend"), null=True)
    band = models.CharField(_("band"), max_length=10, choices=Band, blank=True)
    since = models.DateTimeField(_("in the band since"), null=True)
    pending = models.CharField(max_length=10, blank=True)
    pending_since = models.DateTimeField(null=True)
    parts = models.JSONField(default=dict)
    parts_before = models.JSONField(default=dict)
    computed_at = models.DateTimeField(_("computed"))
    next_change_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("health of a person")
        verbose_name_plural = _("health of people")
        constraints = [in_choices("health_band", "band", BANDS)]
        indexes = [
            models.Index(fields=["band", "score"], name="health_band"),
            models.Index(fields=["next_change_at"], name="health_next_change"),
        ]

    def __str__(self) -> str:
        return f"{self.band} {self.score}"


class HealthChange(models.Model):
    """One move between bands; `reason` is a key: score, trend, coverage or rules (segments.health_bands)."""

    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="health_changes")
    at = models.DateTimeField(_("time"))
    before = models.CharField(_("from"), max_length=10, blank=True)
    after = models.CharField(_("to"), max_length=10, blank=True)
    score = models.FloatField(_("health"), null=True)
    trend = models.FloatField(_("trend"), null=True)
    reason = models.CharField(_("reason"), max_length=20)

    class Meta:
        verbose_name = _("change of health")
        verbose_name_plural = _("changes of health")
        indexes = [
            models.Index(fields=["profile", "at"], name="health_change_person"),
            models.Index(fields=["at"], name="health_change_at"),
        ]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"
