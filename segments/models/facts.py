"""The one log of facts, what is derived from it on arrival, and the cursors that read it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.states import in_choices
from segments.models.intake import Source
from segments.models.people import Profile


class Event(models.Model):
    """One fact about one person; never changed, only appended (segments.facts is the only writer).

    Readers follow (tx, id): on PostgreSQL `tx` is the writing transaction's id plus the installation's
    offset, so that an overlapping writer cannot hide a row from a cursor; on SQLite it is 0 and the
    AUTOINCREMENT id is the order. `live` facts may trigger; historical and absurdly timed ones may not.
    `value` is money in minor units of the reporting currency, or empty.
    """

    class Kind(models.TextChoices):
        TRACK = "track", _("event")
        PAGE = "page", _("page")
        SCREEN = "screen", _("screen")
        IDENTIFY = "identify", _("identify")
        GROUP = "group", _("group")
        ALIAS = "alias", _("alias")
        SYSTEM = "system", _("engine")

    source = models.ForeignKey(Source, models.PROTECT, db_index=False, related_name="+")
    key = models.CharField(_("message id"), max_length=255)
    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="events")
    shard = models.PositiveSmallIntegerField()
    tx = models.BigIntegerField(default=0)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    name = models.CharField(_("name"), max_length=200)
    occurred_at = models.DateTimeField(_("occurred"))
    received_at = models.DateTimeField(_("received"))
    value = models.BigIntegerField(_("value"), null=True)
    properties = models.JSONField(_("properties"), default=dict)
    context = models.JSONField(_("context"), default=dict)
    live = models.BooleanField(_("may trigger"), default=True)
    flags = models.CharField(_("flags"), max_length=40, blank=True)
    depth = models.PositiveSmallIntegerField(default=0)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("fact")
        verbose_name_plural = _("facts")
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="event_once")]
        indexes = [
            models.Index(fields=["shard", "tx", "id"], name="event_position"),
            models.Index(fields=["name", "occurred_at", "profile", "value"], name="event_window"),
            models.Index(fields=["profile", "name", "occurred_at"], name="event_person"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.occurred_at:%Y-%m-%d %H:%M}"


class EventStats(models.Model):
    """The lifetime row of one person and one event name: the answer to most questions about behaviour.

    `amount` sums `value`. Kept in the transaction that appends the facts; none for the engine's own facts.
    """

    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="event_stats")
    name = models.CharField(max_length=200)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)
    amount = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = _("lifetime of an event")
        verbose_name_plural = _("lifetimes of events")
        constraints = [models.UniqueConstraint(fields=["profile", "name"], name="event_stats_once")]
        indexes = [models.Index(fields=["name", "last_at", "profile"], name="event_stats_last")]

    def __str__(self) -> str:
        return f"{self.name} × {self.count}"


class Order(models.Model):
    """One purchase, idempotent by its id; net = total - refunded, in minor units of `currency`.

    `net_reporting` is the same in the reporting currency, empty when no rate is known.
    """

    class State(models.TextChoices):
        PLACED = "placed", _("placed")
        PAID = "paid", _("paid")
        CANCELLED = "cancelled", _("cancelled")
        REFUNDED = "refunded", _("refunded")

    MOVES = {
        "placed": frozenset({"paid", "cancelled", "refunded"}),
        "paid": frozenset({"cancelled", "refunded"}),
        "cancelled": frozenset[str](),
        "refunded": frozenset[str](),
    }

    source = models.ForeignKey(Source, models.PROTECT, related_name="+")
    order_id = models.CharField(_("order id"), max_length=120)
    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="orders")
    placed_at = models.DateTimeField(_("placed"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PLACED)
    currency = models.CharField(_("currency"), max_length=3)
    total = models.BigIntegerField(_("total"))
    refunded = models.BigIntegerField(_("refunded"), default=0)
    net_reporting = models.BigIntegerField(_("net"), null=True)
    coupon_code = models.CharField(_("coupon"), max_length=60, blank=True)
    items = models.JSONField(_("items"), default=list, blank=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.UniqueConstraint(fields=["source", "order_id"], name="order_once"),
            in_choices("order_state", "state", ["placed", "paid", "cancelled", "refunded"]),
            models.CheckConstraint(condition=models.Q(refunded__gte=0), name="order_refund_positive"),
        ]
        indexes = [
            models.Index(fields=["profile", "placed_at"], name="order_person"),
            models.Index(fields=["placed_at", "profile", "net_reporting"], name="order_window"),
        ]

    def __str__(self) -> str:
        return self.order_id


class Cursor(models.Model):
    """How far one reader has come in one shard; moved in the transaction of the reader's work."""

    reader = models.CharField(_("reader"), max_length=80)
    shard = models.PositiveSmallIntegerField(_("shard"))
    tx = models.BigIntegerField(default=0)
    position = models.BigIntegerField(default=0)
    moved_at = models.DateTimeField(_("moved"), null=True)

    class Meta:
        verbose_name = _("cursor")
        verbose_name_plural = _("cursors")
        constraints = [models.UniqueConstraint(fields=["reader", "shard"], name="cursor_once")]

    def __str__(self) -> str:
        return f"{self.reader}/{self.shard}"
