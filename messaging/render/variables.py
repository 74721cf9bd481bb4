"""What a template may see: plain data, bounded, without characters that could pass for our marks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from messaging.render.cell.limits import TEXT
from messaging.render.contract import RenderError

ROOTS = frozenset({
    "profile", "event", "journey", "coupon", "brand", "links", "points", "level", "campaign", "locale", "feeds",
})  # fmt: skip
OWN_LINKS = {"unsubscribe": "\x02u\x02", "preferences": "\x02p\x02", "view": "\x02v\x02"}
LARGEST = 4 * TEXT
_LINKS = json.dumps(OWN_LINKS)
_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)(\\u00[01][0-9a-f]|\\[bf]|\\u007f)")


def brand() -> dict[str, str]:
    """The workspace, as the footer names it."""
    return {
        "name": getattr(settings, "BRAND_NAME", "Perennial"),
        "url": getattr(settings, "BRAND_URL", settings.PUBLIC_URL),
        "address": getattr(settings, "BRAND_ADDRESS", ""),
        "currency": settings.CURRENCY,
        "timezone": settings.WORKSPACE_ZONE,
    }


def as_json(context: Mapping[str, Any], locale: str) -> str:
    """The variables of one message as JSON text, our own added. Raises RenderError when they cannot be sent."""
    given = {name: value for name, value in context.items() if name not in ("links", "locale", "brand")}
    given["brand"] = {**brand(), **_mapping(context.get("brand"))}
    given["locale"] = locale
    try:
        text = _ENCODER.encode(given)
    except (TypeError, ValueError, RecursionError):
        raise RenderError("the variables cannot be read") from None
    if len(text) > LARGEST:
        raise RenderError(f"the variables are longer than {LARGEST // 1024} KiB")
    if "\\u00" in text or "\\b" in text or "\\f" in text:
        text = _ESCAPE.sub(r"\1", text)
    return f'{text[:-1]}, "links": {_LINKS}}}'


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_plain)
