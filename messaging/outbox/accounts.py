"""Accounts: which may send now, how fast, and the breaker that opens after errors in a row and heals itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db.models import F, Q

from messaging.channels import Sender, channels
from messaging.models import Account, Delivery, Pause

THRESHOLD = 5  # errors in a row that open the breaker
PROBE = timedelta(seconds=60)  # how long one half-open probe keeps others away
LONGEST = timedelta(minutes=15)
SECRET = "_env"  # settings {"password_env": "SMTP_PASSWORD"} become {"password": the value}


@dataclass(frozen=True)
class Reserved:
    """A share of an account for one claim: how many messages, and whether they are a half-open probe."""

    account: Account
    count: int


def usable(now: datetime) -> list[Account]:
    """Accounts that may send now; none while everything is paused. Makes the accounts of channels that need
    no settings (inbox, console) at first need."""
    still = Q(until__isnull=True) | Q(until__gt=now)
    if Pause.objects.filter(still, scope=Pause.Scope.ALL, ended_at__isnull=True).exists():
        return []
    rows = list(Account.objects.order_by("id"))
    rows += [_make(key) for key in _without_account({row.channel for row in rows})]
    return [row for row in rows if row.active and (row.open_until is None or row.open_until <= now)]


def _without_account(known: set[str]) -> list[str]:
    plain = {key for key, channel in channels.items() if not channel.transports} - known
    if not plain:
        return []
    return list(
        Delivery.objects.filter(state="planned", channel__in=plain).values_list("channel", flat=True).distinct()
    )


def _make(channel: str) -> Account:
    made, _ = Account.objects.get_or_create(
        key=channel, defaults={"name": channel, "channel": channel, "transport": channel, "is_default": True}
    )
    return made


def reserve(account_id: int, want: int, now: datetime) -> Reserved | None:
    """Lock the account and take up to `want` messages from its bucket. Call inside the claim's transaction,
    then `consume` what was really claimed. A half-open account gives one message, to one worker."""
    row = Account.objects.select_for_update(no_key=True).filter(pk=account_id, active=True).first()
    if row is None or (row.open_until is not None and row.open_until > now):
        return None
    if row.errors >= THRESHOLD:
        return Reserved(row, 1)
    if row.rate is None:
        return Reserved(row, want)
    row.tokens = _refilled(row, now)
    row.tokens_at = now
    return Reserved(row, min(want, int(row.tokens)))


def _refilled(row: Account, now: datetime) -> float:
    assert row.rate is not None
    if row.tokens_at is None:
        return float(row.burst)
    elapsed = max((now - row.tokens_at).total_seconds(), 0.0)
    return min(float(row.burst), row.tokens + elapsed * row.rate)


def consume(reserved: Reserved, count: int, now: datetime) -> None:
    """Take `count` messages out of the bucket for good, and keep others from a half-open account."""
    row = reserved.account
    if row.errors >= THRESHOLD and count:
        Account.objects.filter(pk=row.pk).update(open_until=now + PROBE)
    if row.rate is not None:
        Account.objects.filter(pk=row.pk).update(tokens=row.tokens - count, tokens_at=row.tokens_at)


def give_back(account: Account, count: int) -> None:
    """Return the tokens of messages that were claimed and not handed over (held, skipped)."""
    if account.rate is not None and count > 0:
        Account.objects.filter(pk=account.pk).update(tokens=F("tokens") + count)


def note_success(account: Account) -> None:
    """The provider answers: errors in a row end here, and a half-open breaker closes."""
    if account.errors or account.open_until is not None:
        Account.objects.filter(pk=account.pk).update(errors=0, open_until=None)
        account.errors, account.open_until = 0, None


def note_errors(account: Account, count: int, now: datetime, *, connecting: bool = False, fatal: bool = False) -> None:
    """`count` more errors in a row. Opens the breaker at THRESHOLD (at once when `fatal`), for a time that
    doubles up to 15 minutes; below it a failed connection waits 2, 4, 8 … seconds."""
    errors = max(THRESHOLD, account.errors + count) if fatal else account.errors + count
    errors = min(errors, 1000)
    until = None
    if errors >= THRESHOLD:
        until = now + min(timedelta(seconds=30 * 2 ** min(errors - THRESHOLD, 10)), LONGEST)
    elif connecting:
        until = now + timedelta(seconds=2**errors)
    Account.objects.filter(pk=account.pk).update(errors=errors, open_until=until)
    account.errors, account.open_until = errors, until


def sender_of(account: Account) -> Sender:
    """What the channel needs of an account, with the secrets read from the environment (NAME or NAME_FILE)."""
    settings: dict[str, Any] = {}
    for name, value in account.settings.items():
        if name.endswith(SECRET):
            settings[name.removesuffix(SECRET)] = _secret(str(value))
        else:
            settings[name] = value
    return Sender(account.key, account.transport, account.sender, account.reply_to, settings)


def _secret(name: str) -> str:
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else os.environ.get(name, "")
