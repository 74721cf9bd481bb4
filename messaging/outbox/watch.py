"""The outbox as it stands: how much waits and for what, since when, how fast it goes, and what is in doubt.

Everything is asked of the partial indexes of open states and of the latest attempts, so that a page costs the same
however many messages have been sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q

from messaging.models import Account, Attempt, Delivery
from messaging.outbox.pacing import left_today, limit_of

LATEST = 20_000  # attempts that are looked at for the rate
WINDOW = timedelta(minutes=5)
OPEN = ("planned", "held", "claimed", "attempting", "in_doubt")


@dataclass
class Depth:
    """Open messages of one kind: due now, for later, held, on their way, in doubt; `oldest` is since when the longest
    due one waits."""

    key: str = ""
    due: int = 0
    later: int = 0
    held: int = 0
    under_way: int = 0
    in_doubt: int = 0
    oldest: datetime | None = None

    @property
    def waiting(self) -> int:
        return self.due + self.later + self.held + self.under_way

    def add(self, state: str, count: int, due: int, oldest: datetime | None) -> None:
        if state == "planned":
            self.due += due
            self.later += count - due
            if oldest is not None and due:
                self.oldest = min(self.oldest or oldest, oldest)
        elif state == "held":
            self.held += count
        elif state == "in_doubt":
            self.in_doubt += count
        else:
            self.under_way += count


@dataclass(frozen=True)
class Lane:
    """An account with what waits for it (the default one: for nobody else), its speed and its limits."""

    account: Account
    depth: Depth
    a_minute: float
    refused: int
    limit: int | None
    left: int | None


@dataclass(frozen=True)
class Outbox:
    """Everything that the page shows. `a_minute` is over the last five minutes, `lag` the age of the oldest due."""

    total: Depth
    channels: list[Depth] = field(default_factory=list)
    campaigns: list[Depth] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    reasons: list[tuple[str, str, int]] = field(default_factory=list)
    a_minute: float = 0.0
    lag: timedelta = timedelta(0)


def look(now: datetime, *, campaigns: int = 30) -> Outbox:
    """The outbox now. Four statements."""
    rows = list(
        Delivery.objects.filter(state__in=OPEN).order_by().values_list("state", "channel", "campaign", "account_id")
        .annotate(
            count=Count("pk"),
            due=Count("pk", filter=Q(not_before__lte=now)),
            oldest=Min("not_before", filter=Q(state="planned", not_before__lte=now)),
        )
    )  # fmt: skip
    total = _sum(rows, lambda row: "").get("", Depth())
    accounts = list(Account.objects.order_by("channel", "pk"))
    speed, refused = _speed(now)
    return Outbox(
        total=total,
        channels=_sorted(_sum(rows, lambda row: row[1])),
        campaigns=_sorted(_sum(rows, lambda row: row[2]))[:campaigns],
        lanes=_lanes(rows, accounts, speed, refused, now),
        reasons=_reasons(),
        a_minute=sum(speed.values()) / (WINDOW.total_seconds() / 60),
        lag=max(timedelta(0), now - total.oldest) if total.oldest else timedelta(0),
    )


def _sum(rows: Iterable[Any], key: Any) -> dict[str, Depth]:
    found: dict[str, Depth] = {}
    for row in rows:
        found.setdefault(key(row), Depth(key(row))).add(row[0], *row[4:])
    return found


def _sorted(found: dict[str, Depth]) -> list[Depth]:
    return sorted(found.values(), key=lambda depth: (-depth.waiting - depth.in_doubt, depth.key))


def _lanes(
    rows: list[Any], accounts: list[Account], speed: Counter[int], refused: Counter[int], now: datetime
) -> list[Lane]:
    defaults = {account.channel: account.pk for account in accounts if account.is_default}
    depths = _sum(rows, lambda row: str(row[3] or defaults.get(row[1], 0)))
    minutes, today = WINDOW.total_seconds() / 60, now.date()
    return [
        Lane(
            account,
            depths.get(str(account.pk), Depth()),
            speed[account.pk] / minutes,
            refused[account.pk],
            limit_of(account, today),
            left_today(account, today),
        )
        for account in accounts
    ]


def _speed(now: datetime) -> tuple[Counter[int], Counter[int]]:
    """Attempts of the last five minutes by account: those accepted, and those that were refused or put off."""
    latest = Attempt.objects.order_by("-pk").values_list("account_id", "started_at", "outcome")[:LATEST]
    sent: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    for account, started_at, outcome in latest:
        if started_at > now - WINDOW:
            (sent if outcome == "sent" else refused)[account] += 1
    return sent, refused


def _reasons() -> list[tuple[str, str, int]]:
    """Why messages are held, the most frequent first."""
    rows = Delivery.objects.filter(state="held").order_by().values_list("state", "reason").annotate(n=Count("pk"))
    return list(rows.order_by("-n", "reason")[:20])
