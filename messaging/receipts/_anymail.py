"""Receipts of e-mail providers as django-anymail reads them: its view proves the call and normalises the events.

Its signals are not used: what a call says is handed back, stored raw and applied by us. The message is found by
the metadata "delivery" that we sent along, or by our Message-ID.
"""

from __future__ import annotations

import io
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from anymail.exceptions import AnymailError
from anymail.signals import AnymailTrackingEvent
from anymail.webhooks.base import AnymailBaseWebhookView
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.wsgi import WSGIRequest

from common.text import without_poison
from messaging.receipts import Call, Receiver, Word
from messaging.receipts._forms import MOST, bounce_by_status, kept, natural_key, time_of

WINDOW = timedelta(minutes=5)
KINDS = {
    "delivered": "delivered",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "opened": "opened",
    "clicked": "clicked",
    "rejected": "rejected",
    "failed": "rejected",
}  # "deferred" is followed by another word; "autoresponded" says nothing about the address
OURS = "delivery"  # the key of our metadata


class AnymailReceiver(Receiver):
    """One provider of django-anymail. `view` is its tracking view; `options` hands it one secret."""

    view: ClassVar[type[AnymailBaseWebhookView]]

    @abstractmethod
    def options(self, secret: str) -> dict[str, Any]:
        """The view's settings that make it check this secret."""

    def signed_at(self, call: Call) -> float | None:
        """The time that the provider signed, in seconds since 1970; None where it signs none."""
        return None

    def reference(self, event: AnymailTrackingEvent) -> str:
        """What names our message in an event: metadata, else the provider's own message id."""
        found = event.metadata.get(OURS) if isinstance(event.metadata, Mapping) else None
        return str(found or event.message_id or "")

    def bounce(self, event: AnymailTrackingEvent) -> str:
        """ "hard", "soft" or "other" for a bounced event."""
        otherwise = "hard" if event.reject_reason in ("bounced", "invalid") else "soft"
        return bounce_by_status(str(event.mta_response or event.description or ""), otherwise=otherwise)

    def verify(self, call: Call, secrets: list[str], now: datetime) -> bool:
        good = False
        for secret in filter(None, secrets):
            good |= self._is_good(call, secret)
        if not good:
            return False
        try:
            at = self.signed_at(call)
        except (ValueError, TypeError, KeyError):
            return False
        return at is None or abs(now.timestamp() - at) <= WINDOW.total_seconds()

    def _is_good(self, call: Call, secret: str) -> bool:
        try:
            self._made(secret).run_validators(_request(call))
        except (SuspiciousOperation, AnymailError, ValueError, TypeError, AttributeError):
            return False
        return True

    def _made(self, secret: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of providers that have left its own test runs
            return self.view(**self.options(secret))

    def read(self, call: Call, now: datetime) -> Iterable[Word]:
        try:
            events = self._made(self.any_secret).parse_events(_request(call))
        except (KeyError, TypeError, AttributeError, IndexError, RecursionError, AnymailError) as error:
            raise ValueError(f"no events: {type(error).__name__}") from None
        if len(events) > MOST:
            raise ValueError("too many events")
        return [self._word(event, now) for event in events if isinstance(event, AnymailTrackingEvent)]

    any_secret: ClassVar[str] = "-"  # reading asks for none, but the view must be made

    def _word(self, event: AnymailTrackingEvent, now: datetime) -> Word:
        bounced = event.event_type == "bounced"
        kind = self.bounce(event) if bounced else KINDS.get(str(event.event_type), "other")
        at = time_of(event.timestamp.isoformat() if event.timestamp else None, now)
        ref = without_poison(self.reference(event))[:120]
        about = [ref, kind, str(event.recipient or ""), str(event.click_url or "")]
        raw = event.esp_event if isinstance(event.esp_event, Mapping) else {}
        told = {"user_agent": event.user_agent, "response": event.mta_response, "url": event.click_url}
        flat = {**_flat(raw), **{name: value for name, value in told.items() if value}}
        return Word(kind, ref, natural_key(*filter(None, about), at=at), at, kept(flat))


def _flat(raw: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """An event's nested values side by side ("event-data.severity")."""
    found: dict[str, Any] = {}
    for name, value in raw.items():
        if isinstance(value, Mapping) and depth < 4:
            found |= _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            found[f"{prefix}{name}"] = value
    return found


def _request(call: Call) -> WSGIRequest:
    """The call as Django's request, for a view that reads one."""
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in call.headers.items()}
    environ |= {
        "REQUEST_METHOD": "POST",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "PATH_INFO": "/",
        "CONTENT_TYPE": call.headers.get("content-type", "application/json"),
        "CONTENT_LENGTH": str(len(call.body)),
    }
    return WSGIRequest({**environ, "wsgi.input": io.BytesIO(call.body)})
