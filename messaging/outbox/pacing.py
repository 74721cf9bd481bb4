"""How fast an account may go: its bucket, its day, its warm-up, and slowing down when the provider asks for it.

What it may send is reserved in a short transaction of its own, before the claim: two workers wait for each other only
while a number is changed, and an account without limits is not locked at all. What was reserved and not handed over
is given back; what a dead worker had reserved is lost to the bucket, which refills, and to the day, which ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import transaction
from django.db.models import F

from messaging.channels import Answer, Outcome
from messaging.models import Account
from messaging.retry import retrying

THRESHOLD = 5  # errors in a row that open the breaker
PROBE = timedelta(seconds=60)  # how long one half-open probe keeps others away
SLOWEST = 1 / 64  # of the pace
RECOVER = timedelta(seconds=30)  # without being slowed: then the pace rises by a tenth, and again after as long
STEP = 0.1
LONGEST_REST = timedelta(days=1)
LIMITS = ("rate", "daily", "ramp_from")


@dataclass(frozen=True)
class Reserved:
    """A share of an account for one claim: how many messages, and whether they are a half-open probe."""

    account: Account
    count: int
    probe: bool = False


def reserve(account_id: int, want: int, now: datetime) -> Reserved | None:
    """Take up to `want` messages from what the account may send now; None when it may send nothing. A half-open
    account gives one message, to one worker."""
    row = Account.objects.filter(pk=account_id, active=True).first()
    if row is None or _is_closed(row, now):
        return None
    if row.errors < THRESHOLD and not any(getattr(row, name) is not None for name in LIMITS):
        return Reserved(row, max(1, int(want * row.pace)))

    def work() -> Reserved | None:
        with transaction.atomic():
            return _reserve(account_id, want, now)

    return retrying(work)


def _is_closed(row: Account, now: datetime) -> bool:
    return any(until is not None and until > now for until in (row.open_until, row.rests_until))


def _reserve(account_id: int, want: int, now: datetime) -> Reserved | None:
    row = Account.objects.select_for_update(no_key=True).filter(pk=account_id, active=True).first()
    if row is None or _is_closed(row, now):
        return None
    today = now.astimezone(UTC).date()
    probe = row.errors >= THRESHOLD
    left = left_today(row, today)
    count = min(1 if probe else max(1, int(want * row.pace)), want if left is None else left)
    if row.rate is not None and not probe:
        row.tokens, row.tokens_at = _refilled(row, now), now
        count = min(count, int(row.tokens))
        row.tokens -= count
    if count < 1:
        return None
    row.day_count = count + (row.day_count if row.day == today else 0)
    row.day = today
    row.save(update_fields=["tokens", "tokens_at", "day", "day_count"])
    if probe:  # in the row only: to whoever holds this claim the account is open
        Account.objects.filter(pk=row.pk).update(open_until=now + PROBE)
    return Reserved(row, count, probe)


def _refilled(row: Account, now: datetime) -> float:
    assert row.rate is not None
    if row.tokens_at is None:
        return float(row.burst)
    elapsed = max((now - row.tokens_at).total_seconds(), 0.0)
    return min(float(row.burst), row.tokens + elapsed * row.rate * row.pace)


def left_today(row: Account, today: date) -> int | None:
    """How many messages the account may still send today (UTC); None without a limit."""
    most = limit_of(row, today)
    return None if most is None else max(0, most - (row.day_count if row.day == today else 0))


def limit_of(row: Account, today: date) -> int | None:
    """The day's limit: that of the warm-up's day, and never more than `daily`. Before the first day nothing goes."""
    limits = [] if row.daily is None else [row.daily]
    if row.ramp_from is not None and row.ramp:
        day = (today - row.ramp_from).days
        if day < len(row.ramp):
            limits.append(int(row.ramp[day]) if day >= 0 else 0)
    return min(limits) if limits else None


def give_back(account: Account, count: int, *, probe: bool = False) -> None:
    """Return what was reserved and not handed over (nothing due, held, skipped)."""
    if count < 1:
        return
    rows = Account.objects.filter(pk=account.pk)
    if account.rate is not None and not probe:
        rows.update(tokens=F("tokens") + count)
    if account.day is not None:
        rows.filter(day=account.day, day_count__gte=count).update(day_count=F("day_count") - count)


def give_up_probe(account: Account, now: datetime) -> None:
    """Nothing was there to probe with: the next look may probe."""
    Account.objects.filter(pk=account.pk, open_until=now + PROBE).update(open_until=now)


def note_pace(account: Account, answers: Iterable[Answer], now: datetime) -> None:
    """Slow down by half when the provider asked for it, and rest as long as it said, or a little; else, after a while
    without, go a tenth faster."""
    slow = [given for given in answers if given.slows and given.outcome is Outcome.TRANSIENT]
    if slow:
        _slow_down(account, slow, now)
    elif account.pace < 1 and (account.slowed_at is None or now - account.slowed_at >= RECOVER):
        account.pace, account.slowed_at = min(1.0, account.pace + STEP), now
        Account.objects.filter(pk=account.pk).update(pace=account.pace, slowed_at=now)


def _slow_down(account: Account, slow: list[Answer], now: datetime) -> None:
    """Once for however many workers were told the same: who was slowed within the last second is not slowed again."""
    told = [given.retry_at for given in slow if given.retry_at is not None]
    row = Account.objects.filter(pk=account.pk).only("pace", "slowed_at").first()
    if row is None:
        return
    pace = row.pace
    if row.slowed_at is None or now - row.slowed_at >= timedelta(seconds=1):
        pace = max(SLOWEST, row.pace / 2)
    rest = max(told) if told else now + timedelta(seconds=0.5 / pace)
    rest = min(rest, now + LONGEST_REST)
    why = slow[-1].code[:60]
    account.pace, account.slowed_at, account.rests_until, account.rests_why = pace, now, rest, why
    Account.objects.filter(pk=account.pk).update(pace=pace, slowed_at=now, rests_until=rest, rests_why=why)
