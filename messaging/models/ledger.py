"""The ledger of messages: one row per intended message, written before anybody is called."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.states import in_choices
from messaging.models.classes import CLASSES, MessageClass
from messaging.models.content import TemplateVersion
from messaging.models.permission import Address
from segments.models import Profile


def check_ramp(value: object) -> None:
    """A warm-up is a list of whole numbers above nought, none smaller than the one before."""
    good = isinstance(value, list) and all(type(one) is int and 0 < one < 10**9 for one in value)
    if not isinstance(value, list) or not good or value != sorted(value):
        raise ValidationError({"ramp": _("Whole numbers that grow, please: [50, 100, 200]")})


class Account(Named):
    """A sender at a provider: how to reach it, as whom, how fast, and how it is doing.

    `settings` holds what the channel needs (host, port); secrets are names of environment variables, never
    values. The rate is a token bucket in this row, shared by all workers: `tokens` as of `tokens_at`. `pace` is the
    share of the rate that is left after the provider asked us to slow down; `day_count` counts `day` (UTC).
    """

    channel = models.CharField(_("channel"), max_length=20)
    transport = models.CharField(_("transport"), max_length=40, default="smtp")
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    sender = models.CharField(_("sender"), max_length=254, blank=True)
    reply_to = models.CharField(_("reply to"), max_length=254, blank=True)
    is_default = models.BooleanField(_("default of its channel"), default=False)
    active = models.BooleanField(_("active"), default=True)
    resend_transactional = models.BooleanField(_("may re-send transactional once in doubt"), default=False)
    rate = models.FloatField(_("messages a second"), null=True, blank=True)
    burst = models.PositiveIntegerField(_("burst"), default=100)
    daily = models.PositiveIntegerField(_("messages a day, at most"), null=True, blank=True)
    ramp = models.JSONField(
        _("warm-up"),
        default=list,
        blank=True,
        help_text=_("messages on the first day, the second …: [50, 100, 200]"),
    )
    ramp_from = models.DateField(_("first day of the warm-up"), null=True, blank=True)
    stands_in = models.BooleanField(
        _("stands in"), default=False, help_text=_("takes over while the default account of its channel is held")
    )
    tokens = models.FloatField(default=0)
    tokens_at = models.DateTimeField(null=True)
    day = models.DateField(null=True, editable=False)
    day_count = models.PositiveIntegerField(_("messages today"), default=0, editable=False)
    pace = models.FloatField(_("pace"), default=1.0, editable=False)
    slowed_at = models.DateTimeField(_("slowed down"), null=True, editable=False)
    rests_until = models.DateTimeField(_("rests until"), null=True, editable=False)
    rests_why = models.CharField(_("rests because"), max_length=60, blank=True, editable=False)
    errors = models.PositiveIntegerField(_("errors in a row"), default=0)
    open_until = models.DateTimeField(_("held until"), null=True, blank=True)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.UniqueConstraint(fields=["channel"], condition=Q(is_default=True), name="account_default_once"),
        ]

    def clean(self) -> None:
        super().clean()
        check_ramp(self.ramp)


class Delivery(models.Model):
    """One intended message, from plan to last word.

    `why` in string keys (campaign, journey, enrolment, node), since this app lies below campaigns.
    `sent_at` is the `now` at which the message passed its last gate, also for a ghost: caps and gaps read it.
    `reached` only rises (messaging.receipts). Times of lease are the database's clock.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        HELD = "held", _("held")
        CLAIMED = "claimed", _("claimed")
        ATTEMPTING = "attempting", _("attempting")
        IN_DOUBT = "in_doubt", _("in doubt")
        ACCEPTED = "accepted", _("accepted")
        REJECTED = "rejected", _("rejected")
        UNDELIVERABLE = "undeliverable", _("undeliverable")
        SKIPPED = "skipped", _("skipped")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")
        RENDER_FAILED = "render_failed", _("not renderable")
        POISONED = "poisoned", _("poisoned")
        UNKNOWN = "unknown", _("unknown")

    BEFORE = frozenset({"skipped", "expired", "cancelled", "render_failed", "poisoned"})
    MOVES = {
        "planned": frozenset({"claimed", "held", "undeliverable"}) | BEFORE,
        "held": frozenset({"planned"}) | BEFORE,
        "claimed": frozenset({"planned", "held", "attempting"}) | BEFORE,
        "attempting": frozenset({"accepted", "rejected", "in_doubt", "planned", "undeliverable"}),
        "in_doubt": frozenset({"accepted", "rejected", "planned", "unknown"}),
        "unknown": frozenset({"accepted", "rejected", "planned"}),
        "accepted": frozenset[str](),
        "rejected": frozenset[str](),
        "undeliverable": frozenset[str](),
        "skipped": frozenset[str](),
        "expired": frozenset[str](),
        "cancelled": frozenset[str](),
        "render_failed": frozenset[str](),
        "poisoned": frozenset[str](),
    }
    WAITING = ("planned", "held", "claimed", "attempting")
    SKIPPED_STATES = ("skipped",)
    FAILED = ("rejected", "undeliverable", "render_failed", "poisoned", "expired", "cancelled")
    DOUBTFUL = ("in_doubt", "unknown")

    class Reached(models.IntegerChoices):
        """The highest word a provider or person said; receipts may only raise it."""

        NOTHING = 0, _("nothing")
        ACCEPTED = 1, _("accepted")
        DELIVERED = 2, _("delivered")
        OPENED = 3, _("opened")
        CLICKED = 4, _("clicked")
        SOFT = 5, _("soft bounce")
        HARD = 6, _("hard bounce")
        UNSUBSCRIBED = 7, _("unsubscribed")
        COMPLAINED = 8, _("complained")

    dedupe_key = models.CharField(max_length=200)
    public_id = models.UUIDField(_("public id"), unique=True, editable=False)
    body_digest = models.CharField(max_length=64, blank=True)
    klass = models.CharField(_("class"), max_length=13, choices=MessageClass)
    channel = models.CharField(_("channel"), max_length=20)
    topic = models.CharField(_("topic"), max_length=80, blank=True)
    profile = models.ForeignKey(Profile, models.CASCADE, db_index=False, related_name="deliveries")
    address = models.ForeignKey(Address, models.SET_NULL, null=True, related_name="deliveries")
    version = models.ForeignKey(TemplateVersion, models.PROTECT, db_index=False, related_name="+")
    account = models.ForeignKey(Account, models.PROTECT, null=True, db_index=False, related_name="+")
    campaign = models.CharField(_("campaign"), max_length=80, blank=True)
    journey = models.CharField(_("journey"), max_length=80, blank=True)
    enrolment = models.BigIntegerField(_("enrolment"), null=True)
    node = models.CharField(_("step"), max_length=80, blank=True)
    variant = models.CharField(_("variant"), max_length=40, blank=True)
    context = models.JSONField(_("variables"), default=dict)
    utm = models.JSONField(_("UTM"), default=dict)
    ghost = models.BooleanField(_("held-out (ghost)"), default=False)
    priority = models.SmallIntegerField(_("priority"), default=0)
    planned_at = models.DateTimeField(_("planned"))
    not_before = models.DateTimeField(_("not before"))
    expires_at = models.DateTimeField(_("expires"), null=True)
    state = models.CharField(_("state"), max_length=13, choices=State, default=State.PLANNED)
    reason = models.CharField(_("reason"), max_length=120, blank=True)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    claims = models.PositiveSmallIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    sent_at = models.DateTimeField(_("sent"), null=True)
    settled_at = models.DateTimeField(_("settled"), null=True)
    reached = models.PositiveSmallIntegerField(_("reached"), choices=Reached, default=Reached.NOTHING)
    delivered_at = models.DateTimeField(_("delivered"), null=True)
    opened_at = models.DateTimeField(_("opened"), null=True)
    clicked_at = models.DateTimeField(_("clicked"), null=True)
    inbox_read_at = models.DateTimeField(_("read"), null=True)
    inbox_archived_at = models.DateTimeField(_("put away"), null=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            models.Index(
                fields=["channel", "priority", "campaign", "not_before", "id"],
                name="delivery_share",
                condition=Q(state="planned"),
            ),
            models.Index(fields=["not_before"], name="delivery_held", condition=Q(state="held")),
            models.Index(
                fields=["expires_at"],
                name="delivery_expiry",
                condition=Q(state__in=["planned", "held"], expires_at__isnull=False),
            ),
            models.Index(
                fields=["lease_until"],
                name="delivery_lease",
                condition=Q(state__in=["claimed", "attempting"]),
            ),
            models.Index(fields=["settled_at"], name="delivery_doubt", condition=Q(state="in_doubt")),
            models.Index(
                fields=["settled_at"],
                name="delivery_leaves",
                condition=Q(state="skipped", reason__startswith="leaves:"),
            ),
            models.Index(fields=["profile", "planned_at"], name="delivery_person"),
            models.Index(fields=["journey", "node", "planned_at"], name="delivery_journey"),
            models.Index(fields=["campaign", "planned_at"], name="delivery_campaign"),
            models.Index(fields=["enrolment"], name="delivery_enrolment", condition=Q(enrolment__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["dedupe_key"], name="delivery_once"),
            in_choices(
                "delivery_state",
                "state",
                [
                    "planned", "held", "claimed", "attempting", "in_doubt", "accepted", "rejected", "undeliverable",
                    "skipped", "expired", "cancelled", "render_failed", "poisoned", "unknown",
                ],
            ),
            in_choices("delivery_class", "klass", CLASSES),
            models.CheckConstraint(
                condition=~Q(state__in=["claimed", "attempting"]) | Q(lease_token__isnull=False), name="delivery_leased"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return str(self.public_id)


class Attempt(models.Model):
    """One try at one message: the durable marker, written before the first byte, and its answer."""

    class Outcome(models.TextChoices):
        OPEN = "open", _("no answer yet")
        SENT = "sent", _("accepted")
        TRANSIENT = "transient", _("try later")
        PERMANENT = "permanent", _("refused")
        UNKNOWN = "unknown", _("unknown")
        NOT_BEGUN = "not_begun", _("not begun")

    delivery = models.ForeignKey(Delivery, models.CASCADE, db_index=False, related_name="tries")
    n = models.PositiveSmallIntegerField(_("number"))
    account = models.ForeignKey(Account, models.PROTECT, db_index=False, related_name="+")
    lease_token = models.UUIDField()
    started_at = models.DateTimeField(_("started"))
    answered_at = models.DateTimeField(_("answered"), null=True)
    outcome = models.CharField(_("outcome"), max_length=9, choices=Outcome, default=Outcome.OPEN)
    code = models.CharField(_("code"), max_length=60, blank=True)
    provider_ref = models.CharField(_("provider reference"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [
            models.UniqueConstraint(fields=["delivery", "n"], name="attempt_once"),
            in_choices(
                "attempt_outcome",
                "outcome",
                ["open", "sent", "transient", "permanent", "unknown", "not_begun"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id}.{self.n} {self.outcome}"


class Pause(models.Model):
    """A switch that stops sending for what it names, until a named person (or the end time) lifts it."""

    class Scope(models.TextChoices):
        ALL = "all", _("everything")
        CHANNEL = "channel", _("channel")
        CLASS = "class", _("class")
        CAMPAIGN = "campaign", _("campaign")
        JOURNEY = "journey", _("journey")
        ACCOUNT = "account", _("account")

    scope = models.CharField(_("scope"), max_length=8, choices=Scope)
    value = models.CharField(_("which"), max_length=80, blank=True)
    reason = models.CharField(_("reason"), max_length=200)
    started_at = models.DateTimeField(_("since"))
    started_by = models.CharField(_("by"), max_length=150)
    until = models.DateTimeField(_("until"), null=True, blank=True)
    ended_at = models.DateTimeField(_("lifted"), null=True, blank=True)
    ended_by = models.CharField(_("lifted by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "value"], condition=Q(ended_at__isnull=True), name="pause_open_once"
            ),
            in_choices("pause_scope", "scope", ["all", "channel", "class", "campaign", "journey", "account"]),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")), name="pause_order"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.value}".strip()
