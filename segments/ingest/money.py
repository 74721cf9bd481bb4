"""Orders as commerce events tell them: amounts to minor units, and never two currencies in one sum."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.conf import settings

from common.money import exponent, to_minor
from segments.facts.names import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED
from segments.ingest.call import OrderSaid
from segments.ingest.limits import INTEGER, Refused

ORDER_UPDATED = "Order Updated"
ORDER_EVENTS = frozenset({ORDER_COMPLETED, ORDER_UPDATED, ORDER_REFUNDED, ORDER_CANCELLED})
ITEM_FIELDS = ("product_id", "sku", "name", "category", "brand", "price", "quantity", "variant", "coupon")
ITEMS = 100


def read_order(name: str, properties: Mapping[str, Any], items: tuple[Mapping[str, Any], ...] = ()) -> OrderSaid:
    """What the event says of its order; `items` stand for its products where they came apart.

    Raises Refused without an order id or with an amount that is none.
    """
    order_id = _order_id(properties)
    currency = _currency(properties.get("currency"))
    total = _amount(properties, ("total", "revenue", "value"), currency)
    items = items or _items(properties.get("products"))
    if name == ORDER_REFUNDED:
        return OrderSaid(name, order_id, None, currency, refund=total)
    if total is None and name == ORDER_COMPLETED:
        total = _sum_of(items, currency)
    coupon = properties.get("coupon")
    coupon = coupon.strip()[:60] if isinstance(coupon, str) else ""
    return OrderSaid(name, order_id, total, currency, coupon, items)


def to_reporting(minor: int, currency: str) -> int | None:
    """The amount in minor units of the reporting currency; None when it is another one and no rate is set."""
    if currency == settings.CURRENCY:
        return minor
    rate = settings.EXCHANGE_RATES.get(currency)
    if rate is None:
        return None
    exact = Decimal(minor).scaleb(exponent(settings.CURRENCY) - exponent(currency)) * Decimal(rate)
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _order_id(properties: Mapping[str, Any]) -> str:
    value = properties.get("order_id", properties.get("orderId"))
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text:
        raise Refused("missing_order_id", "properties.order_id", "an order event names its order")
    if len(text) > 120:
        raise Refused("id_too_long", "properties.order_id", "an order id may have 120 characters")
    return text


def _currency(value: Any) -> str:
    if value is None or value == "":
        return str(settings.CURRENCY)
    text = value.strip().upper() if isinstance(value, str) else ""
    if len(text) != 3 or not (text.isascii() and text.isalpha()):
        raise Refused("bad_currency", "properties.currency", "a currency has three letters, as in ISO 4217")
    return text


def _amount(properties: Mapping[str, Any], names: tuple[str, ...], currency: str) -> int | None:
    for name in names:
        value = properties.get(name)
        if value is None or value == "":
            continue
        path = f"properties.{name}"
        try:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise ValueError(f"'{type(value).__name__}' is not an amount of money")
            minor = to_minor(value, currency)
        except ValueError as error:
            raise Refused("bad_amount", path, str(error)) from None
        if minor < 0:
            raise Refused("bad_amount", path, "an order has no negative amount")
        return minor
    return None


def _items(products: Any) -> tuple[Mapping[str, Any], ...]:
    """Up to 100 order lines with the fields of the commerce spec."""
    if not isinstance(products, list):
        return ()
    lines = [line for line in products if isinstance(line, Mapping)][:ITEMS]
    return tuple({name: line[name] for name in ITEM_FIELDS if line.get(name) is not None} for line in lines)


def _sum_of(items: tuple[Mapping[str, Any], ...], currency: str) -> int:
    """Price times quantity of the lines. Raises Refused when they carry no prices."""
    try:
        total = sum(Decimal(str(item["price"])) * Decimal(str(item.get("quantity", 1))) for item in items)
        minor = to_minor(total, currency) if items else -1
    except (KeyError, ArithmeticError, ValueError):
        minor = -1
    if not 0 <= minor <= INTEGER:
        raise Refused("missing_total", "properties.total", "an order says its total, or its products their prices")
    return minor
