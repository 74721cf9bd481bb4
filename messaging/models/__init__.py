"""The message side of the database: content, permission, the ledger, and what came back."""

from __future__ import annotations

from messaging.models.answers import Click, Link, Receipt
from messaging.models.books import Reconciliation
from messaging.models.content import BannedWord, Block, Template, TemplateSave, TemplateVersion
from messaging.models.copywriting import CopyDraft, CopyRequest, Voice
from messaging.models.devices import Device
from messaging.models.fallbacks import Fallback
from messaging.models.feeds import Feed, FeedCall, FeedValue
from messaging.models.ledger import Account, Attempt, Delivery, Pause
from messaging.models.permission import Address, Consent, Suppression, Topic
from messaging.models.preferences import BestHour, Preference
from messaging.models.quarantine import Quarantine
from messaging.models.rules import SendingRule

__all__ = [
    "Account", "Address", "Attempt", "BannedWord", "BestHour", "Block", "Click", "Consent", "CopyDraft",
    "CopyRequest", "Delivery", "Device", "Fallback", "Feed", "FeedCall", "FeedValue", "Link", "Pause", "Preference",
    "Quarantine",
    "Receipt", "Reconciliation", "SendingRule", "Suppression", "Template", "TemplateSave", "TemplateVersion", "Topic",
    "Voice",
]  # fmt: skip
