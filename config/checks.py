"""System checks: what must not go into production, each with an id and how to mend it (docs/checks.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

DEFAULTS = {"SECRET_KEY": "insecure-development-key", "SUPPRESSION_KEY": "insecure-suppression-key"}
LOOPBACK = {"localhost", "127.0.0.1", "::1", ""}


def is_public() -> bool:
    """Whether recipients elsewhere are meant to reach this installation."""
    return (urlsplit(settings.PUBLIC_URL).hostname or "") not in LOOPBACK


def default_keys() -> list[str]:
    """Names of secrets that still hold the value everybody can read in the source."""
    return [name for name, value in DEFAULTS.items() if getattr(settings, name) == value]


@register(Tags.security)
def secrets_are_own(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.E001: an installation that recipients reach must not sign links with a public key."""
    if not is_public():
        return []
    hint = "Set it in the environment, or name a file that holds it in {0}_FILE. Keep it for ever."
    return [Error(f"{name} is the default.", hint=hint.format(name), id="perennial.E001") for name in default_keys()]


@register(Tags.security)
def faults_are_off(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.E002: fault points belong to tests."""
    if not settings.ALLOW_FAULTS or not is_public():
        return []
    return [Error("ALLOW_FAULTS is on.", hint="Take it out of the settings.", id="perennial.E002")]


@register(Tags.security)
def demo_stays_home(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.E003: the demo shows everybody's mail and has a known password."""
    if not settings.DEMO or not is_public():
        return []
    return [Error("The demo is on at a public address.", hint="Unset PERENNIAL_DEMO.", id="perennial.E003")]


@register(Tags.compatibility)
def zone_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.E004: calendar days need a real zone."""
    from common.periods import is_zone

    if is_zone(settings.WORKSPACE_ZONE):
        return []
    hint = "Use an IANA name such as Europe/Berlin or Asia/Shanghai."
    return [Error(f"WORKSPACE_ZONE '{settings.WORKSPACE_ZONE}' is unknown.", hint=hint, id="perennial.E004")]


@register(Tags.compatibility)
def preset_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.E005: nobody can be scored by a rule that there is not."""
    from segments.stage_presets import COMMERCE, PRESETS

    known = [COMMERCE, *PRESETS]
    if settings.STAGE_PRESET in known:
        return []
    hint = f"Use one of: {', '.join(known)}."
    return [Error(f"STAGE_PRESET '{settings.STAGE_PRESET}' is unknown.", hint=hint, id="perennial.E005")]


@register(Tags.compatibility)
def falls_are_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.E006: levels could neither be kept nor lost."""
    from segments.growth.levels import FALLS

    if settings.LEVEL_FALL in FALLS and settings.LEVEL_TERM_DAYS > 0:
        return []
    hint = f"Use one of: {', '.join(FALLS)}; and a term of at least a day."
    said = f"LEVEL_FALL '{settings.LEVEL_FALL}' with LEVEL_TERM_DAYS {settings.LEVEL_TERM_DAYS} cannot be."
    return [Error(said, hint=hint, id="perennial.E006")]


@register(Tags.security, deploy=True)
def redis_has_a_password(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.E010: whoever reaches the broker may start tasks."""
    parts = urlsplit(settings.CELERY_BROKER_URL)
    if parts.scheme not in ("redis", "rediss") or parts.password:
        return []
    hint = "Set requirepass (and maxmemory-policy noeviction, appendonly yes) and put it into CELERY_BROKER_URL."
    return [Error("Redis is used without a password.", hint=hint, id="perennial.E010")]


@register(Tags.security, deploy=True)
def address_is_public(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.W011 and W012: links in mails must lead here, over https."""
    if not is_public():
        hint = "Set PUBLIC_URL to the address that recipients reach."
        return [Caution("PUBLIC_URL is this machine alone.", hint=hint, id="perennial.W011")]
    if not settings.PUBLIC_URL.startswith("https://"):
        hint = "Mailbox providers want https for one-click unsubscription (RFC 8058)."
        return [Caution("PUBLIC_URL is not https.", hint=hint, id="perennial.W012")]
    return []


@register(Tags.database, deploy=True)
def database_is_a_server(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.W013: SQLite serves one machine."""
    if not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        return []
    hint = "Fine on one machine with local disks; for several workers set DATABASE_URL=postgres://…"
    return [Caution("The database is SQLite.", hint=hint, id="perennial.W013")]


@register(Tags.security, deploy=True)
def keys_are_long(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """perennial.E014: the suppression key must not be guessed, and must not be the signing key."""
    key = settings.SUPPRESSION_KEY
    if len(key) >= 32 and key != settings.SECRET_KEY:
        return []
    hint = "Use 32 random characters or more, other than SECRET_KEY; it is never rotated."
    return [Error("SUPPRESSION_KEY is short or shared.", hint=hint, id="perennial.E014")]
