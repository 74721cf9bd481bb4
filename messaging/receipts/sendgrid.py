"""SendGrid: lists of events, signed with the account's key of the Signed Event Webhook (ECDSA over time and body)."""

from __future__ import annotations

from typing import Any, ClassVar

from anymail.signals import AnymailTrackingEvent
from anymail.webhooks.sendgrid import SendGridTrackingWebhookView

from messaging.receipts import Call, receivers
from messaging.receipts._anymail import OURS, AnymailReceiver

STAMP = "x-twilio-email-event-webhook-timestamp"


@receivers.register("sendgrid")
class SendGrid(AnymailReceiver):
    """The secret is the verification key in base64. https://www.twilio.com/docs/sendgrid/for-developers/tracking-events"""

    key: ClassVar[str] = "sendgrid"
    view = SendGridTrackingWebhookView
    any_secret: ClassVar[str] = ""

    def options(self, secret: str) -> dict[str, Any]:
        return {"tracking_webhook_verification_key": secret, "webhook_secret": []}

    def signed_at(self, call: Call) -> float | None:
        return float(call.headers[STAMP])

    def reference(self, event: AnymailTrackingEvent) -> str:
        """Custom arguments come back at the top of an event; our Message-ID is its smtp-id."""
        said = event.esp_event if isinstance(event.esp_event, dict) else {}
        return str(said.get(OURS) or said.get("smtp-id") or event.message_id or "")
