"""What an operator sees at a glance about messages: sent by day, in doubt, paused, and where they stand.

Counts by day walk the index over (campaign, planned_at), so the caller names the campaigns; nothing here scans
the whole ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate

from messaging.models import Account, Address, Consent, Delivery, Pause, Quarantine, TemplateVersion

SLACK = timedelta(days=7)  # a message may be sent this long after it was planned


def sends_by_day(campaigns: Collection[str], *, since: datetime, zone: ZoneInfo) -> dict[date, int]:
    """Messages accepted by a provider, per local day since `since`; ghosts are not counted."""
    rows = (
        Delivery.objects.filter(
            campaign__in=campaigns, planned_at__gte=since - SLACK, sent_at__gte=since, state="accepted", ghost=False
        )
        .annotate(day=TruncDate("sent_at", tzinfo=zone))
        .values_list("day")
        .annotate(n=Count("pk"))
        .order_by("day")
    )
    return dict(rows)


def by_state(campaigns: Collection[str], *, since: datetime) -> dict[str, int]:
    """Messages planned since `since`, per state; ghosts apart from real ones are left out."""
    rows = Delivery.objects.filter(campaign__in=campaigns, planned_at__gte=since, ghost=False)
    return dict(rows.values_list("state").annotate(n=Count("pk")).order_by())


def outcomes_by_journey(journeys: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
    """Sent, opened and clicked messages per journey key; people's opens and clicks only, no ghosts."""
    rows = (
        Delivery.objects.filter(journey__in=journeys, ghost=False)
        .values("journey")
        .annotate(
            sent=Count("pk", filter=Q(state="accepted")),
            opened=Count("pk", filter=Q(opened_at__isnull=False)),
            clicked=Count("pk", filter=Q(clicked_at__isnull=False)),
        )
        .order_by()
    )
    return {row["journey"]: {name: row[name] for name in ("sent", "opened", "clicked")} for row in rows}


def in_doubt_count() -> int:
    return Delivery.objects.filter(state="in_doubt").count()


def open_pauses() -> QuerySet[Pause]:
    return Pause.objects.filter(ended_at=None).order_by("-started_at")


def open_quarantines() -> QuerySet[Quarantine]:
    return Quarantine.objects.filter(state="open").order_by("opened_at")


def held_accounts(now: datetime) -> QuerySet[Account]:
    """Accounts that their own breaker holds back."""
    return Account.objects.filter(active=True, open_until__gt=now).order_by("key")


def has_account() -> bool:
    return Account.objects.filter(active=True).exists()


def has_published_template() -> bool:
    return TemplateVersion.objects.exists()


def addresses_of(profile: int) -> QuerySet[Address]:
    return Address.objects.filter(profile=profile).order_by("channel", "value")


def consent_history(address: int, limit: int = 100) -> QuerySet[Consent]:
    return Consent.objects.filter(address=address).order_by("-at", "-id")[:limit]
