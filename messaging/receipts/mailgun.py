"""Mailgun: JSON events, each signed with the account's webhook signing key."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from anymail.signals import AnymailTrackingEvent
from anymail.webhooks.mailgun import MailgunTrackingWebhookView

from messaging.receipts import Call, receivers
from messaging.receipts._anymail import AnymailReceiver
from messaging.receipts._forms import bounce_by_status


@receivers.register("mailgun")
class Mailgun(AnymailReceiver):
    """The secret is the HTTP webhook signing key. https://documentation.mailgun.com/docs/mailgun/user-manual/tracking-messages/"""

    key: ClassVar[str] = "mailgun"
    view = MailgunTrackingWebhookView

    def options(self, secret: str) -> dict[str, Any]:
        return {"webhook_signing_key": secret, "webhook_secret": []}

    def signed_at(self, call: Call) -> float | None:
        return float(json.loads(call.body)["signature"]["timestamp"])

    def bounce(self, event: AnymailTrackingEvent) -> str:
        """ "severity: permanent" with a code that does not name the mailbox (a policy, say) suppresses nobody."""
        said = event.esp_event.get("event-data", {}) if isinstance(event.esp_event, dict) else {}
        status = said.get("delivery-status", {})
        code = str(status.get("enhanced-code") or event.mta_response or "")
        hard = status.get("code") in (550, 605) or said.get("reason") == "suppress-bounce"
        return bounce_by_status(code, otherwise="hard" if hard else "soft")
