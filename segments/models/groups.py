"""Segments, who is in them, and how each refresh went; lists of people kept by hand."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.semijoin import by_key
from common.states import in_choices
from segments.models.people import Profile


class Segment(Named):
    """A rule and the freshness of its members. `cursor` is per segment and covers all shards.

    `evaluated_at` is the `now` of the last refresh, `rule_number` grows with every change of the rule, and
    `built_number` is the one that the members answer to; they differ while a full build is due.

    `generation` says which rows of Membership count, so that one number exchanges all members at once. `staged` is the
    generation that rows were written for and have not been settled: above `generation` they wait for the exchange, at
    it the exchange is done and what it moved is told of and cleared away. None: every row counts.
    """

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")
        ARCHIVED = "archived", _("archived")

    MOVES = {
        "active": frozenset({"paused", "archived"}),
        "paused": frozenset({"active", "archived"}),
        "archived": frozenset({"active"}),
    }

    description = models.TextField(_("description"), blank=True)
    rule = models.JSONField(_("rule"), default=dict)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.ACTIVE)
    rule_number = models.PositiveIntegerField(default=1)
    built_number = models.PositiveIntegerField(default=0)
    fire_on_build = models.BooleanField(_("next build fires"), default=False)
    generation = models.PositiveIntegerField(default=0, db_default=0)
    staged = models.PositiveIntegerField(null=True)
    cursor_tx = models.BigIntegerField(default=0)
    cursor_position = models.BigIntegerField(default=0)
    evaluated_at = models.DateTimeField(_("as of"), null=True)
    refreshed_at = models.DateTimeField(_("refreshed"), null=True)
    size = models.PositiveIntegerField(_("people"), default=0)
    last_error = models.TextField(_("last error"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        constraints = [in_choices("segment_state", "state", ["active", "paused", "archived"])]


_HERE = F("segment__generation")


class Members(models.Manager["Membership"]):
    """The rows that count: from their generation on, and before the one they leave with."""

    def get_queryset(self) -> models.QuerySet[Membership]:
        counted = Q(counts_until__isnull=True) | Q(counts_until__gt=_HERE)
        return super().get_queryset().filter(counted, counts_from__lte=_HERE)


class Membership(models.Model):
    """One person in one segment, now. Leaving deletes the row; the history is in the fact log.

    `objects` are the members. `rows` has those too that a build has written ahead (`counts_from` lies above the
    segment's generation) or has replaced (`counts_until` does not): only who writes members reads them.
    """

    segment = models.ForeignKey(Segment, models.CASCADE, db_index=False, related_name="memberships")
    profile = models.ForeignKey(Profile, models.CASCADE, related_name="memberships")
    entered_at = models.DateTimeField(_("entered"))
    counts_from = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    counts_until = models.PositiveIntegerField(null=True, editable=False)

    objects = Members()
    rows = models.Manager["Membership"]()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["segment", "profile"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.segment_id}:{self.profile_id}"


def members_of(key: str) -> models.QuerySet[Membership]:
    """The members of the segment with this key, for a condition about many people: what is to be known of the segment
    is looked up once, while a join to it would be made for each of its rows."""
    generation = by_key(Segment, key, "generation")
    counted = Q(counts_until__isnull=True) | Q(counts_until__gt=generation)
    return Membership.rows.filter(counted, segment=by_key(Segment, key), counts_from__lte=generation)


class SegmentRun(models.Model):
    """One refresh of one segment: what it looked at, what changed, how long it took, and why by this pass.

    `estimated` is what the choice of the pass was made by (people, or facts where these are too many to read), and
    `threshold` the number above which a pass over everyone is cheaper; both are empty where there was no choice.

    `seen_at` is the sign of life of a pass under way, at least one for each batch. `generation` is what it wrote rows
    for, if it did, and `telling` what the facts about them need (None: none are stated), so that whoever comes after
    a killed worker can state them.
    """

    class Mode(models.TextChoices):
        CHANGED = "changed", _("changed people")
        FULL = "full", _("everyone")
        BUILD = "build", _("first build")

    class Why(models.TextChoices):
        FEW = "few", _("few may have changed")
        MANY = "many", _("many may have changed")
        BACKLOG = "backlog", _("many new facts")
        MOVES = "moves", _("many change sides")
        DAY = "day", _("a new day began")
        RULE = "rule", _("built anew")

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    MOVES = {
        "running": frozenset({"done", "failed", "cancelled"}),
        "done": frozenset[str](),
        "failed": frozenset[str](),
        "cancelled": frozenset[str](),
    }

    segment = models.ForeignKey(Segment, models.CASCADE, db_index=False, related_name="runs")
    mode = models.CharField(_("mode"), max_length=8, choices=Mode)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.RUNNING)
    why = models.CharField(_("why this pass"), max_length=7, choices=Why, blank=True, default="", db_default="")
    estimated = models.PositiveIntegerField(_("estimated"), null=True)
    threshold = models.PositiveIntegerField(_("threshold"), null=True)
    as_of = models.DateTimeField(_("as of"))
    started_at = models.DateTimeField(_("started"))
    seen_at = models.DateTimeField(_("last sign of life"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    candidates = models.PositiveIntegerField(_("people looked at"), default=0)
    entered = models.PositiveIntegerField(_("entered"), default=0)
    left = models.PositiveIntegerField(_("left"), default=0)
    size = models.PositiveIntegerField(_("people"), default=0)
    progress = models.PositiveSmallIntegerField(_("progress in %"), default=0)
    error = models.TextField(_("error"), blank=True)
    generation = models.PositiveIntegerField(null=True)
    telling = models.JSONField(null=True)

    class Meta:
        verbose_name = _("segment run")
        verbose_name_plural = _("segment runs")
        indexes = [models.Index(fields=["segment", "-started_at"], name="segment_run_latest")]
        constraints = [
            in_choices("segment_run_state", "state", ["running", "done", "failed", "cancelled"]),
            in_choices("segment_run_mode", "mode", ["changed", "full", "build"]),
            in_choices("segment_run_why", "why", ["", "few", "many", "backlog", "moves", "day", "rule"]),
        ]

    def __str__(self) -> str:
        return f"{self.segment_id} {self.mode} {self.state}"


class StaticList(Named):
    """People put together by hand or from a file; segments.lists is the only writer of who is on it."""

    description = models.TextField(_("description"), blank=True)
    size = models.PositiveIntegerField(_("people"), default=0)
    changed_at = models.DateTimeField(_("changed"), null=True, blank=True)

    class Meta:
        verbose_name = _("list of people")
        verbose_name_plural = _("lists of people")


class ListMember(models.Model):
    """One person on one list. Being taken off deletes the row; the history is in the fact log.

    `named_by` is the number of the last replacement of the list whose file named the person.
    """

    list = models.ForeignKey(StaticList, models.CASCADE, db_index=False, related_name="members")
    profile = models.ForeignKey(Profile, models.CASCADE, related_name="list_members")
    added_at = models.DateTimeField(_("added"))
    named_by = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("person on a list")
        verbose_name_plural = _("people on lists")
        constraints = [models.UniqueConstraint(fields=["list", "profile"], name="list_member_once")]

    def __str__(self) -> str:
        return f"{self.list_id}:{self.profile_id}"
