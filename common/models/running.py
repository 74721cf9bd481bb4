"""What the running installation knows of itself: slots that ran, who is alive, what is parked."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Tick(models.Model):
    """A slot of a schedule that somebody ran. The unique row is the lock: two beats fire one slot once."""

    schedule = models.CharField(_("schedule"), max_length=80)
    slot = models.DateTimeField(_("slot"))
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True)
    result = models.JSONField(_("result"), default=dict)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("tick")
        verbose_name_plural = _("ticks")
        constraints = [models.UniqueConstraint(fields=["schedule", "slot"], name="tick_once")]
        indexes = [models.Index(fields=["started_at"], name="tick_started")]

    def __str__(self) -> str:
        return f"{self.schedule} {self.slot:%Y-%m-%d %H:%M:%S}"


class Heartbeat(models.Model):
    """The last sign of life of one process (web, worker, beat), by the database's clock."""

    process = models.CharField(_("process"), max_length=120, unique=True)
    role = models.CharField(_("role"), max_length=20, db_index=True)
    at = models.DateTimeField(_("last sign of life"))
    detail = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return self.process


class Instance(models.Model):
    """The installation this database belongs to: one row.

    `tx_offset` is added to PostgreSQL's transaction ids so that positions in the fact log keep growing
    after a restore into another cluster; `cluster` is that cluster's system identifier. A process whose
    `stamp` differs starts paused until a person confirms.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    stamp = models.CharField(_("stamp"), max_length=64, blank=True)
    cluster = models.CharField(_("database cluster"), max_length=64, blank=True)
    tx_offset = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("installation")
        verbose_name_plural = _("installation")
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="instance_single")]

    def __str__(self) -> str:
        return self.stamp or "new"


class Parked(models.Model):
    """A piece of work that failed for good and was set aside, so that the rest could go on."""

    at = models.DateTimeField(_("time"), db_index=True)
    reader = models.CharField(_("reader"), max_length=80)
    subject = models.CharField(_("subject"), max_length=120)
    reason = models.TextField(_("reason"))
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    resolved_by = models.CharField(_("resolved by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("parked item")
        verbose_name_plural = _("parked items")
        constraints = [models.UniqueConstraint(fields=["reader", "subject"], name="parked_once")]

    def __str__(self) -> str:
        return f"{self.reader}: {self.subject}"
