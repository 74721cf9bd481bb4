"""Web push: an encrypted message to each browser that a person allowed, proven by VAPID.

RFC 8030 (the protocol), RFC 8291 (encryption), RFC 8292 (who we are). The address of a push service comes from the
browser, so it is called as any stranger's is, and what one of them answers is never said about the whole account.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit

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

LIFE = 12 * 3600  # seconds that we prove who we are for; at most a day is allowed
URGENCY = "normal"


@channels.register("webpush")
class WebPushChannel(PushToDevices):
    """The person's browsers take it; what they have subscribed is the address."""

    key: ClassVar[str] = "webpush"
    transports: ClassVar[tuple[str, ...]] = ("vapid",)

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        try:
            from messaging.channels import _crypto
        except ImportError:
            raise ChannelError(_push.EXTRA, permanent=True) from None
        try:
            key = _crypto.vapid_key(_http.setting(sender, "private_key"))
        except ValueError:
            raise ChannelError("the setting 'private_key' is no VAPID key", permanent=True) from None
        subject = _http.setting(sender, "subject")
        if not subject.startswith(("mailto:", "https://")):
            raise ChannelError("the setting 'subject' is neither mailto: nor https:", permanent=True)
        ours = _crypto.b64(_crypto.point_of(key))

        def post(message: Outgoing, device: Device) -> _http.Verdict:
            at = message.at
            if at is None:
                return _http.UNDATED
            try:
                body = _crypto.encrypted(content(message), p256dh=device.keys["p256dh"], auth=device.keys["auth"])
            except (ValueError, KeyError):
                return _http.permanent("the subscription has no keys", Bounce.HARD)
            claims = {"aud": origin(device.token), "exp": int(at.timestamp()) + LIFE, "sub": subject}
            headers = {
                "Authorization": f"vapid t={_crypto.es256(key, claims)}, k={ours}",
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(_push.seconds_left(message)),
                "Urgency": URGENCY,
            }
            return _one_of_many(_http.ask(device.token, lambda answer: judged(answer, at), body=body, headers=headers))

        yield Devices(sender, post)


def public_key(sender: Sender) -> str:
    """What a browser needs to subscribe (applicationServerKey, base64url); "" for an account without a key."""
    from messaging.channels import _crypto

    try:
        return _crypto.b64(_crypto.point_of(_crypto.vapid_key(str(sender.settings.get("private_key") or ""))))
    except ValueError:
        return ""


def content(message: Outgoing) -> bytes:
    """What the service worker of the page gets."""
    return json.dumps({**_push.told(message), "delivery": message.ref}, ensure_ascii=False).encode("utf-8", "replace")


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def judged(answer: http.Answer, at: datetime) -> _http.Verdict:
    """201 is acceptance (some say 200 or 202); 404 and 410 end the subscription; 401 and 403 refuse who we are."""
    code = f"HTTP {answer.status}"
    if answer.status in (200, 201, 202):
        return _http.sent(code, answer.headers.get("location", "").rpartition("/")[2])
    if answer.status in (404, 410):
        return _http.permanent(code, Bounce.HARD)
    return _http.by_status(answer, at, busy=(429, 503))


def _one_of_many(verdict: _http.Verdict) -> _http.Verdict:
    """Each browser has a service of its own: what it refuses is tried again, and the others are not concerned. Where
    our key is wrong all of them refuse, and five errors in a row open the account's breaker."""
    return _http.Verdict(verdict.answer)
