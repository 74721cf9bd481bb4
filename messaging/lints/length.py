"""What a short message costs: more than one part is paid more than once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.conf import settings

from common.text import say
from messaging.lints import Count, Draft, Finding, Lint, Severity, lints
from messaging.models import Account

# Typography that costs a message the short alphabet, and what GSM-7 has instead.
PLAIN = {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "«": '"', "»": '"'}


@lints.register("length")
class Length(Lint):
    """A warning when the text for the sample data takes more than one part, with alphabet, count and price (setting
    `segment_price` of the account, such as "0.045 CNY"); and when typography alone makes it twice as dear."""

    key: ClassVar[str] = "length"

    def find(self, draft: Draft) -> Iterator[Finding]:
        counted = {locale: variant for locale, variant in draft.variants.items() if variant.count is not None}
        price = _price(draft.channel) if counted else None
        for locale, variant in counted.items():
            count = variant.count
            if count is None or count.segments < 2:
                continue
            yield Finding(Severity.WARNING, _said(count, price), locale, "text")
            odd = _odd(variant.rendered.get("text", ""))
            if count.alphabet == "UCS-2" and odd:
                yield Finding(Severity.WARNING, _typography(odd), locale, "text")


def _price(channel: str) -> tuple[Decimal, str] | None:
    """The price of one part and its currency, from the account that sends; None when it is not told."""
    rows = Account.objects.filter(channel=channel, active=True).order_by("-is_default", "pk")
    for told in rows.values_list("settings", flat=True):
        return _money(told.get("segment_price"))
    return None


def _money(told: Any) -> tuple[Decimal, str] | None:
    amount, _, currency = str(told or "").partition(" ")
    try:
        price = Decimal(amount)
    except InvalidOperation:
        return None
    return (price, currency.strip() or settings.CURRENCY) if price.is_finite() and price > 0 else None


def _odd(text: str) -> str:
    """The typographic characters of a text that would be GSM-7 without them; "" when others are outside it too."""
    found = {char for char in text if ord(char) > 0xFF}
    return "".join(sorted(found)) if found and found <= PLAIN.keys() else ""


def _said(count: Count, price: tuple[Decimal, str] | None) -> str:
    english = f"{count.segments} segments of {count.alphabet} ({count.units} characters)"
    chinese = f"{count.alphabet} 编码 {count.segments} 条（{count.units} 个字符）"
    if price is not None:
        cost = f"{(price[0] * count.segments).normalize():f} {price[1]}"
        return say(f"{english}: about {cost} a message", f"{chinese}：每条消息约 {cost}")
    return say(f"{english}: paid {count.segments} times", f"{chinese}：按 {count.segments} 条计费")


def _typography(odd: str) -> str:
    plain = " ".join(PLAIN[char] for char in odd if char.strip())
    return say(
        f"{odd} are outside GSM-7 and make it dearer: {plain} would do",
        f"{odd} 不在 GSM-7 字符集内，费用更高：可改用 {plain}",
    )
