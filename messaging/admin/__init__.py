"""The admin of messages: what is said, over which channel, with whose permission, and what came back."""

from __future__ import annotations

from messaging import timeline
from messaging.admin import accounts, books, copywriting, feeds, permission, rules, words
from messaging.admin.blocks import BlockAdmin
from messaging.admin.deliveries import DeliveryAdmin
from messaging.admin.templates import TemplateAdmin

__all__ = [
    "BlockAdmin", "DeliveryAdmin", "TemplateAdmin", "accounts", "books", "copywriting", "feeds", "permission", "rules",
    "timeline", "words",
]  # fmt: skip
