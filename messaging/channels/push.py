"""Push to apps through Firebase Cloud Messaging, HTTP v1: a message to each device of a person.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages and …/ErrorCode; the service account's token
is OAuth 2.0 for servers, https://developers.google.com/identity/protocols/oauth2/service-account
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

from common import http
from messaging.channels import (
    Bounce,
    ChannelError,
    Connection,
    Device,
    Outgoing,
    Sender,
    _http,
    _push,
    channels,
)
from messaging.channels._devices import Devices, PushToDevices

HOST = "https://fcm.googleapis.com"
QUIET = timedelta(minutes=1)  # who is throttled without a time waits so long, as the documentation asks
THROTTLED = frozenset({"QUOTA_EXCEEDED", "UNAVAILABLE"})
REFUSED = frozenset({"THIRD_PARTY_AUTH_ERROR"})
STALE = 401


@channels.register("push")
class PushChannel(PushToDevices):
    """The person's apps take it; what they have registered is the address."""

    key: ClassVar[str] = "push"
    transports: ClassVar[tuple[str, ...]] = ("fcm",)

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        try:
            from messaging.channels._google import ServiceAccount
        except ImportError:
            raise ChannelError(_push.EXTRA, permanent=True) from None
        account = ServiceAccount(_http.setting(sender, "service_account"))
        url = f"{_http.base_of(sender, HOST)}/v1/projects/{account.project}/messages:send"
        _http.fail_if_refused(sender)

        def post(message: Outgoing, device: Device) -> _http.Verdict:
            at = message.at
            if at is None:
                return _http.UNDATED
            body = json.dumps({"message": content(message, device)}, ensure_ascii=False).encode("utf-8", "replace")
            try:
                token = account.token(at)
                verdict = _ask(url, token, body, at)
                if verdict.said.get("status") == STALE:
                    verdict = _ask(url, account.token(at, stale=token), body, at)
            except ChannelError as error:
                return _http.refused(str(error)) if error.permanent else _http.throttled(str(error), None)
            return verdict

        yield Devices(sender, post)


def _ask(url: str, token: str, body: bytes, at: datetime) -> _http.Verdict:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return _http.ask(url, lambda answer: judged(answer, at), body=body, headers=headers)


def content(message: Outgoing, device: Device) -> dict[str, Any]:
    """The message resource. `data` reaches the app's own code; the notification is shown without it."""
    parts = _push.told(message)
    shown = {name: parts[name] for name in ("title", "body", "image") if name in parts}
    data = {"delivery": message.ref, **({"url": parts["url"]} if "url" in parts else {})}
    seconds = _push.seconds_left(message)
    assert message.at is not None
    until = str(int(message.at.timestamp()) + seconds)
    return {
        "token": device.token,
        "notification": shown,
        "data": data,
        "android": {"ttl": f"{seconds}s"},
        "apns": {"headers": {"apns-expiration": until}},
        "webpush": {"headers": {"TTL": str(seconds)}},
    }


def judged(answer: http.Answer, at: datetime) -> _http.Verdict:
    """200 with a name is acceptance; else FCM's own error code decides, and the status where there is none."""
    said = _http.parsed(answer.body)
    name = said.get("name")
    if answer.status == 200 and isinstance(name, str) and name:
        return _http.sent("200", name.rpartition("/")[2])
    code = error_of(said)
    asked = _http.retry_at(answer, at)
    if code == "UNREGISTERED":
        return _http.permanent(code, Bounce.HARD)
    if code in THROTTLED or answer.status == 429 or (answer.status >= 500 and asked):
        return _http.throttled(code or f"HTTP {answer.status}", asked or at + QUIET)
    if code in REFUSED:
        return _http.refused(code)
    if code == "SENDER_ID_MISMATCH":
        return _http.later(code, None)  # another project's token; if all are, five in a row open the breaker
    if code == "INVALID_ARGUMENT":
        return _http.permanent(code, Bounce.HARD if _about_token(said) else Bounce.NONE)
    verdict = _http.by_status(answer, at)
    return _http.Verdict(verdict.answer, verdict.stops, verdict.refused, {"status": answer.status})


def error_of(said: Mapping[str, Any]) -> str:
    """FCM's error code, in the details of Google's error."""
    return next((str(one["errorCode"]) for one in _details(said) if "errorCode" in one), "")


def _about_token(said: Mapping[str, Any]) -> bool:
    fields = [field for one in _details(said) for field in one.get("fieldViolations") or [] if isinstance(field, dict)]
    return any(field.get("field") == "message.token" for field in fields)


def _details(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    error = said.get("error")
    found = error.get("details") if isinstance(error, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
