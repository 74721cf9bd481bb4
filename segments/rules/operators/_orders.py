"""Which orders count, and which facts tell that they changed."""

from __future__ import annotations

from django.db.models import QuerySet

from segments.facts.names import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED
from segments.models import Order

ORDER_FACTS = frozenset({ORDER_COMPLETED, ORDER_REFUNDED, ORDER_CANCELLED})


def standing() -> QuerySet[Order]:
    """Orders that were neither cancelled nor wholly refunded."""
    return Order.objects.filter(state__in=[Order.State.PLACED, Order.State.PAID])
