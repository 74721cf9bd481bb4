"""Benefits, pools of unique codes, and who was granted what."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.states import in_choices
from segments.models.people import Profile


class Benefit(Named):
    """What a person gets: a rebate, free shipping, a gift. Amounts in minor units, percentages in basis points."""

    class Kind(models.TextChoices):
        AMOUNT = "amount", _("amount off")
        PERCENT = "percent", _("percentage off")
        SHIPPING = "shipping", _("free shipping")
        GIFT = "gift", _("gift")
        SERVICE = "service", _("service")

    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    amount = models.BigIntegerField(_("amount"), default=0)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    valid_days = models.PositiveIntegerField(_("valid for days"), default=30)
    cost = models.BigIntegerField(_("expected cost"), default=0)

    class Meta:
        verbose_name = _("benefit")
        verbose_name_plural = _("benefits")
        constraints = [in_choices("benefit_kind", "kind", ["amount", "percent", "shipping", "gift", "service"])]


class CouponPool(Named):
    """A stock of unique codes for one benefit. `endless` pools make codes as they are claimed.

    Codes are handed out from `starts_at` until `ends_at`, at most `most` in all and `per_person` to one person; blank
    is no limit. `low_since` is when the stock was found low, until it is filled again.
    """

    benefit = models.ForeignKey(Benefit, models.PROTECT, related_name="pools", verbose_name=_("benefit"))
    prefix = models.CharField(_("code prefix"), max_length=12, blank=True)
    endless = models.BooleanField(_("make codes on demand"), default=False)
    low_stock = models.PositiveSmallIntegerField(_("low stock in %"), default=10)
    per_person = models.PositiveSmallIntegerField(_("codes per person"), null=True, blank=True)
    most = models.PositiveIntegerField(_("codes in all"), null=True, blank=True)
    starts_at = models.DateTimeField(_("handed out from"), null=True, blank=True)
    ends_at = models.DateTimeField(_("valid until"), null=True, blank=True)
    low_since = models.DateTimeField(_("low since"), null=True, editable=False)

    class Meta:
        verbose_name = _("coupon pool")
        verbose_name_plural = _("coupon pools")
        constraints = [
            models.CheckConstraint(
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gt=models.F("starts_at")),
                name="coupon_pool_span",
                violation_error_message=_("The end lies before the beginning."),
            )
        ]


class Coupon(models.Model):
    """One code. A claim is a conditional update of a free row; `claim_key` makes it happen once."""

    class State(models.TextChoices):
        FREE = "free", _("free")
        ASSIGNED = "assigned", _("assigned")
        REDEEMED = "redeemed", _("redeemed")
        EXPIRED = "expired", _("expired")
        VOID = "void", _("void")

    MOVES = {
        "free": frozenset({"assigned", "void"}),
        "assigned": frozenset({"redeemed", "expired", "void"}),
        "redeemed": frozenset({"assigned", "expired", "void"}),
        "expired": frozenset[str](),
        "void": frozenset[str](),
    }

    pool = models.ForeignKey(CouponPool, models.CASCADE, db_index=False, related_name="coupons")
    code = models.CharField(_("code"), max_length=60, unique=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.FREE)
    profile = models.ForeignKey(Profile, models.SET_NULL, null=True, blank=True, related_name="coupons")
    claim_key = models.CharField(max_length=160, null=True, unique=True)  # noqa: DJ001 - NULL means unclaimed and is not unique
    assigned_at = models.DateTimeField(_("assigned"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    redeemed_at = models.DateTimeField(_("redeemed"), null=True, blank=True)
    order_ref = models.CharField(_("order"), max_length=120, blank=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        indexes = [
            models.Index(fields=["pool", "id"], name="coupon_free", condition=Q(state="free")),
            models.Index(fields=["pool", "state"], name="coupon_stock"),
            models.Index(fields=["order_ref"], name="coupon_order", condition=~Q(order_ref="")),
        ]
        constraints = [
            in_choices("coupon_state", "state", ["free", "assigned", "redeemed", "expired", "void"]),
            models.CheckConstraint(
                condition=Q(state="free") | Q(state="void") | Q(claim_key__isnull=False),
                name="coupon_claimed",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Grant(models.Model):
    """One benefit given to one person, once for each key, with the coupon that carries it if any.

    `ref` names what it was given for ("order:A17"), so that a refund finds it.
    """

    benefit = models.ForeignKey(Benefit, models.PROTECT, related_name="grants")
    profile = models.ForeignKey(Profile, models.CASCADE, related_name="grants")
    coupon = models.OneToOneField(Coupon, models.SET_NULL, null=True, blank=True, related_name="grant")
    key = models.CharField(max_length=160, unique=True)
    at = models.DateTimeField(_("time"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    ref = models.CharField(_("given for"), max_length=140, blank=True)
    origin = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("grant")
        verbose_name_plural = _("grants")
        indexes = [models.Index(fields=["ref"], name="grant_ref", condition=~Q(ref=""))]

    def __str__(self) -> str:
        return f"{self.benefit_id} → {self.profile_id}"
