"""A person and the names under which that person is known."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.indexes import JsonIndex
from common.naming import full_name
from common.states import in_choices


class Profile(models.Model):
    """One person. Hot traits are typed columns; everything else lies in `traits`.

    `shard` (0 to 15) is the stored hash by which readers of the fact log divide the work.
    """

    public_id = models.UUIDField(_("public id"), default=uuid.uuid4, unique=True, editable=False)
    shard = models.PositiveSmallIntegerField(editable=False)
    bucket = models.PositiveSmallIntegerField(_("random bucket"), editable=False)
    email = models.CharField(_("e-mail"), max_length=254, blank=True)
    phone = models.CharField(_("phone"), max_length=20, blank=True, help_text=_("E.164"))
    first_name = models.CharField(_("first name"), max_length=100, blank=True)
    last_name = models.CharField(_("last name"), max_length=100, blank=True)
    locale = models.CharField(_("locale"), max_length=20, blank=True)
    timezone = models.CharField(_("time zone"), max_length=50, blank=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    gender = models.CharField(_("gender"), max_length=20, blank=True)
    birthday = models.DateField(_("birthday"), null=True, blank=True)
    registered_at = models.DateTimeField(_("registered"), null=True, blank=True)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    traits = models.JSONField(_("traits"), default=dict, blank=True)
    no_profiling = models.BooleanField(_("no profiling"), default=False)
    merged_into = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    erased_at = models.DateTimeField(_("erased"), null=True, blank=True)

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        indexes = [
            JsonIndex(fields=["traits"], name="profile_traits", opclasses=["jsonb_path_ops"]),
            models.Index(fields=["email"], name="profile_email"),
            models.Index(fields=["bucket"], name="profile_bucket"),
            models.Index(fields=["registered_at"], name="profile_registered"),
            models.Index(fields=["last_seen_at"], name="profile_last_seen"),
            models.Index(fields=["country"], name="profile_country"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(shard__lt=16), name="profile_shard"),
            models.CheckConstraint(condition=models.Q(bucket__lt=10_000), name="profile_bucket_range"),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email or str(self.public_id)

    @property
    def full_name(self) -> str:
        """Both names in the order of the person's own language."""
        return full_name(self.first_name, self.last_name, self.locale)


class Identity(models.Model):
    """One name of a person: unique by kind and value. `origin` is the profile it had before a merge."""

    class Kind(models.TextChoices):
        USER = "user_id", _("user id")
        ANONYMOUS = "anonymous_id", _("anonymous id")
        EMAIL = "email", _("e-mail")
        PHONE = "phone", _("phone")

    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    value = models.CharField(_("value"), max_length=255)
    profile = models.ForeignKey(Profile, models.CASCADE, related_name="identities")
    origin = models.BigIntegerField(null=True, blank=True, editable=False)
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [
            models.UniqueConstraint(fields=["kind", "value"], name="identity_once"),
            in_choices("identity_kind", "kind", ["user_id", "anonymous_id", "email", "phone"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"
