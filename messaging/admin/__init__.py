"""The admin of messages: what is said, over which channel, with whose permission, and what came back."""

from __future__ import annotations

from messaging import timeline
from messaging.admin import (
    accounts,
    addresses,
    books,
    copywriting,
    devices,
    feeds,
    pauses,
    quarantines,
    rules,
    suppressions,
    topics,
    words,
)
from messaging.admin.blocks import BlockAdmin
from messaging.admin.deliveries import DeliveryAdmin
from messaging.admin.templates import TemplateAdmin

__all__ = [
    "BlockAdmin", "DeliveryAdmin", "TemplateAdmin", "accounts", "addresses", "books", "copywriting", "devices", "feeds",
    "pauses", "quarantines", "rules", "suppressions", "timeline", "topics", "words",
]  # fmt: skip
