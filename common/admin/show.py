"""Small pieces of HTML that lists and pages share: pills of state, amounts, JSON, links. All escape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.money import format_money

GOOD = frozenset(
    [
        "live",
        "active",
        "accepted",
        "done",
        "sent",
        "completed",
        "delivered",
        "given",
        "redeemed",
        "paid",
        "clicked",
        "opened",
        "mature",
        "growing",
        "placed",
    ]
)
BAD = frozenset(
    [
        "rejected",
        "undeliverable",
        "render_failed",
        "poisoned",
        "failed",
        "parked",
        "hard",
        "complained",
        "permanent",
        "withdrawn",
        "lapsed",
        "void",
    ]
)
WARN = frozenset(
    [
        "paused",
        "in_doubt",
        "unknown",
        "held",
        "at_risk",
        "expired",
        "cancelled",
        "unsubscribed",
        "soft",
        "transient",
        "refused",
        "attempting",
        "refunded",
    ]
)
INFO = frozenset(
    ["planned", "claimed", "running", "waiting", "draft", "prospect", "newcomer", "assigned", "open", "engine"]
)


def tone(value: str) -> str:
    """The colour of a state: good, bad, warn, info or plain."""
    for name, group in (("good", GOOD), ("bad", BAD), ("warn", WARN), ("info", INFO)):
        if value in group:
            return name
    return "plain"


def pill(value: str, text: Any = None) -> SafeString:
    """A state as a coloured pill with its translated word."""
    return format_html('<span class="p-pill p-pill--{}">{}</span>', tone(value), text if text is not None else value)


def state_of(obj: Any, field: str = "state") -> SafeString | str:
    """The pill of a choice field."""
    value = getattr(obj, field)
    return pill(str(value), getattr(obj, f"get_{field}_display")()) if value not in ("", None) else "–"


def code(value: Any) -> SafeString | str:
    """A key, as people type it."""
    return format_html('<code class="p-code">{}</code>', value) if value not in ("", None) else "–"


def block(text: str) -> SafeString:
    """Text as it is, in a block of its own."""
    return format_html('<pre class="p-json">{}</pre>', text)


def pretty(value: Any) -> SafeString | str:
    """JSON as a block to read; a dash when there is nothing in it."""
    if value in (None, {}, [], ""):
        return "–"
    return format_html('<pre class="p-json">{}</pre>', json.dumps(value, ensure_ascii=False, indent=2, default=str))


def link(text: Any, url: str) -> SafeString:
    return format_html('<a class="p-link" href="{}">{}</a>', url, text)


def page_of(label: str, pk: Any, text: Any) -> SafeString | str:
    """A link to an object's page, label "app_model"; plain text when there is no such page."""
    if pk in (None, ""):
        return "–"
    try:
        return link(text, reverse(f"admin:{label}_change", args=[pk]))
    except NoReverseMatch:
        return str(text)


def bar(part: int, whole: int) -> SafeString:
    """A thin bar for a share, with the figure beside it."""
    share = min(100, round(100 * part / whole)) if whole else 0
    return format_html(
        '<span class="p-meter" title="{}%"><span style="width:{}%"></span></span> <span class="p-num">{}</span>',
        share,
        share,
        f"{part:,}",
    )


def money(minor: int | None, currency: str = "") -> str:
    """An amount of minor units; without a currency it is the reporting one."""
    return format_money(minor, currency or settings.CURRENCY)


def listed(pairs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Key and value for the page, nested values as one line of JSON."""
    return [
        (key, json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value)
        for key, value in sorted(pairs.items())
    ]
