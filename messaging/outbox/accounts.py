"""Accounts: which may send now, who stands in, and the breaker that opens after errors in a row and heals itself."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db.models import Q

from messaging.channels import Sender, channels
from messaging.models import Account, Delivery, Pause
from messaging.outbox.pacing import THRESHOLD

LONGEST = timedelta(minutes=15)
SECRET = "_env"  # settings {"password_env": "SMTP_PASSWORD"} become {"password": the value}


def usable(now: datetime) -> list[Account]:
    """Accounts that may send now; none while everything is paused. Makes the accounts of channels that need
    no settings (inbox, console) at first need."""
    still = Q(until__isnull=True) | Q(until__gt=now)
    if Pause.objects.filter(still, scope=Pause.Scope.ALL, ended_at__isnull=True).exists():
        return []
    rows = list(Account.objects.order_by("id"))
    rows += [_make(key) for key in _without_account({row.channel for row in rows})]
    return [row for row in rows if row.active and _is_open(row, now)]


def _is_open(row: Account, now: datetime) -> bool:
    return all(until is None or until <= now for until in (row.open_until, row.rests_until))


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


def stands_in(account: Account, now: datetime) -> bool:
    """Whether this account takes over the messages of its channel's default one, whose breaker is open or which is
    switched off."""
    if account.is_default or not account.stands_in:
        return False
    default = Account.objects.filter(channel=account.channel, is_default=True).first()
    return default is not None and (not default.active or is_broken(default, now))


def is_broken(account: Account, now: datetime) -> bool:
    """Whether the breaker is open, and not only the next attempt at a connection a few seconds away."""
    return account.errors >= THRESHOLD and account.open_until is not None and account.open_until > now


def has_stand_in(account: Account, now: datetime) -> bool:
    """Whether another account takes over while this one is held, so that its messages need not wait for it."""
    others = Account.objects.filter(channel=account.channel, stands_in=True, active=True, is_default=False)
    if not account.is_default or not is_broken(account, now):
        return False
    return others.filter(Q(open_until=None) | Q(open_until__lte=now)).exists()


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
