"""Which orders count."""

from __future__ import annotations

from django.db.models import QuerySet

from segments.models import Order


def standing() -> QuerySet[Order]:
    """Orders that were neither cancelled nor wholly refunded."""
    return Order.objects.filter(state__in=[Order.State.PLACED, Order.State.PAID])
