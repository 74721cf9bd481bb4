"""Keys that programs present: hashed, scoped, revocable, with their last use."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


def hash_key(secret: str) -> str:
    """SHA-256 of a key. Keys carry 192 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKey(models.Model):
    """One secret of a program. `subject` ties an ingest key to its source ("source:web")."""

    name = models.CharField(_("name"), max_length=120)
    prefix = models.CharField(_("prefix"), max_length=16, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)
    subject = models.CharField(_("subject"), max_length=120, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("created"))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def issue(
        cls, name: str, scopes: list[str], *, now: datetime, subject: str = "", secret: str = ""
    ) -> tuple[ApiKey, str]:
        """Make a key; returns the row and the secret, which is shown once and never stored."""
        secret = secret or f"pk_{secrets.token_hex(24)}"
        row = cls.objects.create(
            name=name,
            prefix=secret[:11],
            digest=hash_key(secret),
            scopes=scopes,
            subject=subject,
            created_at=now,
        )
        return row, secret

    def is_usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def allows(self, scope: str) -> bool:
        """Whether the key carries the scope, or all of them ("*")."""
        return scope in self.scopes or "*" in self.scopes
