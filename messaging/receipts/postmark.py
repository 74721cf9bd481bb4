"""Postmark: one JSON event a call. It signs nothing, so the address it calls carries a name and a password."""

from __future__ import annotations

from typing import Any, ClassVar

from anymail.signals import AnymailTrackingEvent
from anymail.webhooks.postmark import PostmarkTrackingWebhookView

from messaging.receipts import receivers
from messaging.receipts._anymail import AnymailReceiver

SOFT = frozenset({"SoftBounce", "Transient", "DnsError"})


@receivers.register("postmark")
class Postmark(AnymailReceiver):
    """The secret is "name:password" (HTTP basic). https://postmarkapp.com/developer/webhooks/webhooks-overview"""

    key: ClassVar[str] = "postmark"
    view = PostmarkTrackingWebhookView
    any_secret: ClassVar[str] = "a:b"

    def options(self, secret: str) -> dict[str, Any]:
        return {"webhook_secret": [secret]}

    def bounce(self, event: AnymailTrackingEvent) -> str:
        kind = event.esp_event.get("Type") if isinstance(event.esp_event, dict) else None
        return "hard" if kind == "HardBounce" else "soft" if kind in SOFT else "other"
