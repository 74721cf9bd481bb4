"""Money is integer minor units with a currency; nothing adds two currencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

ZERO_DECIMAL = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
THREE_DECIMAL = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
LIMIT = 2**63 - 1


def exponent(currency: str) -> int:
    """Digits after the point of the currency's major unit (ISO 4217)."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def to_minor(amount: object, currency: str) -> int:
    """Major units (12.5, "12.50") to minor units (1250), half to even. Raises ValueError."""
    text = str(amount)
    try:
        exact = Decimal(text)
        if not exact.is_finite() or "_" in text:  # Python reads 1_000; no sender writes it
            raise InvalidOperation
        value = exact.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
        within = -LIMIT <= value <= LIMIT
    except ArithmeticError:
        raise ValueError(f"'{text[:40]}' is not an amount of money") from None
    if not within:
        raise ValueError(f"'{text[:40]}' is beyond 64 bits")
    return int(value)


def to_major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-exponent(currency))


def format_money(minor: int | None, currency: str) -> str:
    """ "1,250.00 EUR"; an empty amount is a dash."""
    if minor is None:
        return "–"
    return f"{to_major(minor, currency):,.{exponent(currency)}f} {currency}"


@dataclass(frozen=True)
class Money:
    """An amount in minor units and its currency. Adding two currencies raises ValueError."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.minor + other.minor, self.currency)

    def __str__(self) -> str:
        return format_money(self.minor, self.currency)


def share_out(total: int, weights: Sequence[float]) -> list[int]:
    """Split `total` minor units by weights to the unit: largest remainder, ties to the earliest.

    Works for negative totals (refunds mirror sales). Empty weights give an empty list.
    """
    if not weights:
        return []
    sign, size, scale = (-1 if total < 0 else 1), abs(total), sum(weights)
    exact = [Decimal(repr(w)) * size / Decimal(repr(scale)) for w in weights]
    whole = [int(x) for x in exact]
    order = sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i], i))
    for index in order[: size - sum(whole)]:
        whole[index] += 1
    return [sign * part for part in whole]
