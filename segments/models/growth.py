"""Points, levels, badges and missions: append-only rows from which every balance is derived."""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.states import in_choices
from common.text import is_chinese
from segments.models.people import Profile


class Level(Named):
    """A rung of the ladder: reached with `threshold` points earned in the qualification window."""

    rank = models.PositiveSmallIntegerField(_("rank"), unique=True)
    threshold = models.BigIntegerField(_("points needed"))
    privileges = models.JSONField(_("privileges"), default=list, blank=True, editable=False)  # rows now: Privilege

    class Meta:
        verbose_name = _("level")
        verbose_name_plural = _("levels")
        ordering = ["rank"]


class Privilege(models.Model):
    """Something that a level brings, in words for the person; `benefit` is what it is worth, if that is written down.

    Higher levels bring it too, unless it is for this level `only`.
    """

    level = models.ForeignKey(Level, models.CASCADE, related_name="brings", verbose_name=_("level"))
    key = models.SlugField(_("key"), max_length=80)
    name = models.CharField(_("name"), max_length=200)
    name_zh = models.CharField(_("Chinese name"), max_length=200, blank=True)
    benefit = models.ForeignKey(
        "segments.Benefit", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("benefit")
    )
    place = models.PositiveSmallIntegerField(_("place"), default=0)
    only = models.BooleanField(_("at this level only"), default=False)

    class Meta:
        verbose_name = _("privilege")
        verbose_name_plural = _("privileges")
        ordering = ["level__rank", "place", "pk"]
        constraints = [models.UniqueConstraint(fields=["level", "key"], name="privilege_once")]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """The name in the active language."""
        return self.name_zh if self.name_zh and is_chinese() else self.name


class Wallet(models.Model):
    """One person's points: the row that every movement locks. `balance` caches the sum of the ledger."""

    profile = models.OneToOneField(Profile, models.CASCADE, primary_key=True, related_name="wallet")
    balance = models.BigIntegerField(_("balance"), default=0)
    earned = models.BigIntegerField(_("earned in the term"), default=0)
    level = models.ForeignKey(Level, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("level"))
    level_since = models.DateTimeField(_("level since"), null=True, blank=True)
    level_until = models.DateTimeField(_("level until"), null=True, blank=True)
    noticed = models.PositiveSmallIntegerField(null=True, editable=False)  # days of the last notice in this term

    class Meta:
        verbose_name = _("wallet")
        verbose_name_plural = _("wallets")
        indexes = [
            models.Index(fields=["level_until"], name="wallet_level_until", condition=Q(level_until__isnull=False))
        ]

    def __str__(self) -> str:
        return str(self.balance)


class AppendOnly(models.Model):
    """Rows that are written once. The ORM refuses to change or delete them (erasure has its own verb)."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError(f"{type(self).__name__} rows are append-only")
        super().save(*args, **kwargs)


class PointEntry(AppendOnly):
    """One movement of points. An earn is a lot, consumed by the draws of later spends and expiries.

    `ref` names what an earn was given for ("order:A17"), so that a refund finds it.
    """

    class Kind(models.TextChoices):
        EARN = "earn", _("earned")
        SPEND = "spend", _("spent")
        EXPIRE = "expire", _("expired")
        REVERSE = "reverse", _("reversed")
        ADJUST = "adjust", _("adjusted")

    wallet = models.ForeignKey(Wallet, models.CASCADE, db_index=False, related_name="entries")
    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    amount = models.PositiveBigIntegerField(_("points"))
    sign = models.SmallIntegerField(_("direction"))
    at = models.DateTimeField(_("time"))
    available_at = models.DateTimeField(_("available"))
    expires_at = models.DateTimeField(_("expires"), null=True)
    reason = models.CharField(_("reason"), max_length=120)
    key = models.CharField(max_length=160, unique=True)
    ref = models.CharField(_("given for"), max_length=140, blank=True)
    reverses = models.ForeignKey("self", models.PROTECT, null=True, related_name="reversals")
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("point entry")
        verbose_name_plural = _("point entries")
        indexes = [
            models.Index(fields=["wallet", "at"], name="point_entry_person"),
            models.Index(fields=["expires_at"], name="point_entry_expiry", condition=Q(kind="earn")),
            models.Index(
                fields=["available_at"], name="point_entry_coming", condition=Q(available_at__gt=models.F("at"))
            ),
            models.Index(fields=["ref"], name="point_entry_ref", condition=~Q(ref="")),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="point_entry_positive"),
            models.CheckConstraint(condition=Q(sign__in=[-1, 1]), name="point_entry_sign"),
            in_choices("point_entry_kind", "kind", ["earn", "spend", "expire", "reverse", "adjust"]),
        ]

    def __str__(self) -> str:
        return f"{self.sign * self.amount:+d} {self.reason}"


class PointDraw(AppendOnly):
    """How much a spend, expiry or reversal took from which lot."""

    entry = models.ForeignKey(PointEntry, models.CASCADE, related_name="draws")
    lot = models.ForeignKey(PointEntry, models.PROTECT, related_name="drawn")
    amount = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "lot"], name="point_draw_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="point_draw_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.lot_id}"


class PointRule(Named):
    """How people earn by themselves: so many points for each fact, or one for every `per` of its money.

    `per` is in minor units of the reporting currency. Points are pending for `pending_days` (until a purchase can no
    longer be returned), then valid for `valid_days`, or for ever where that is blank.
    """

    fact = models.CharField(_("event"), max_length=200, default="Order Completed")
    filter = models.JSONField(_("property filter"), default=dict, blank=True)
    points = models.PositiveIntegerField(_("points for each"), default=0)
    per = models.PositiveIntegerField(_("one point for every (minor units)"), default=0)
    pending_days = models.PositiveSmallIntegerField(_("pending for days"), default=0)
    valid_days = models.PositiveSmallIntegerField(_("valid for days"), null=True, blank=True)
    most_a_day = models.PositiveIntegerField(_("at most a day"), null=True, blank=True)
    active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("earning rule")
        verbose_name_plural = _("earning rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(points__gt=0) | Q(per__gt=0),
                name="point_rule_gives",
                violation_error_message=_("Say how many points, or for how much money there is one."),
            )
        ]


class Badge(Named):
    """A mark of honour that a mission or a step may award."""

    description = models.TextField(_("description"), blank=True)
    icon = models.CharField(_("icon"), max_length=40, blank=True)

    class Meta:
        verbose_name = _("badge")
        verbose_name_plural = _("badges")


class Award(models.Model):
    """One badge given to one person, once for each key."""

    badge = models.ForeignKey(Badge, models.PROTECT, related_name="awards")
    profile = models.ForeignKey(Profile, models.CASCADE, related_name="awards")
    key = models.CharField(max_length=160, unique=True)
    at = models.DateTimeField(_("time"))
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("award")
        verbose_name_plural = _("awards")

    def __str__(self) -> str:
        return f"{self.badge_id} → {self.profile_id}"


class Mission(Named):
    """A task for people: do `fact` until its measure reaches `target` in a period, and earn points and perhaps a badge.

    `how` are the measure's parameters. It may be completed `repeats` times in a period, without limit where that is
    blank. A change of the rule makes a new `version`; counters of the old one stay.
    """

    class Period(models.TextChoices):
        EVER = "ever", _("ever")
        DAY = "day", _("day")
        WEEK = "week", _("week")
        MONTH = "month", _("month")

    fact = models.CharField(_("event"), max_length=200)
    filter = models.JSONField(_("property filter"), default=dict, blank=True)
    measure = models.CharField(_("what is counted"), max_length=40, default="count")
    how = models.JSONField(_("how it is counted"), default=dict, blank=True)
    target = models.PositiveIntegerField(_("target"), default=1, validators=[MinValueValidator(1)])
    repeats = models.PositiveSmallIntegerField(
        _("times in a period"), default=1, null=True, blank=True, validators=[MinValueValidator(1)]
    )
    period = models.CharField(_("period"), max_length=5, choices=Period, default=Period.EVER)
    points = models.PositiveIntegerField(_("points"), default=0)
    badge = models.ForeignKey(Badge, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("badge"))
    version = models.PositiveIntegerField(default=1)
    active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("mission")
        verbose_name_plural = _("missions")
        constraints = [in_choices("mission_period", "period", ["ever", "day", "week", "month"])]


class MissionProgress(models.Model):
    """How far one person has come with one mission in one period ("2026-W47", or "" for ever).

    `kept` is what the measure needs to go on. `times` it was completed, last at `completed_at`; `lapses_at` is when a
    streak is broken unless something is done before.
    """

    mission = models.ForeignKey(Mission, models.CASCADE, related_name="progress")
    profile = models.ForeignKey(Profile, models.CASCADE, related_name="missions")
    version = models.PositiveIntegerField()
    period = models.CharField(max_length=10, blank=True)
    count = models.PositiveIntegerField(_("done"), default=0)
    kept = models.JSONField(null=True, editable=False)
    times = models.PositiveIntegerField(_("times completed"), default=0)
    completed_at = models.DateTimeField(_("completed"), null=True)
    lapses_at = models.DateTimeField(_("lapses"), null=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("mission progress")
        verbose_name_plural = _("mission progress")
        constraints = [
            models.UniqueConstraint(fields=["mission", "version", "profile", "period"], name="mission_progress_once")
        ]
        indexes = [
            models.Index(fields=["lapses_at"], name="mission_progress_lapse", condition=Q(lapses_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.mission_id}: {self.count}"
