"""Signatures of the Standard Webhooks form: identifier, time and body under one of several secrets."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=5)
PREFIX = "whsec_"


def sign(secret: str, *, identifier: str, at: datetime, body: bytes) -> str:
    """The value of webhook-signature for one secret ("v1,…")."""
    said = f"{identifier}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key(secret), said, hashlib.sha256).digest()).decode()


def is_signed(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> bool:
    """Whether one of the secrets signed this body, and the signed time is within five minutes of `now`.

    Every secret is compared with every signature, in constant time, before the time is looked at.
    """
    identifier, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = [one[3:] for one in headers.get("webhook-signature", "").split(" ") if one.startswith("v1,")][:10]
    if not identifier or "." in identifier or not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 12:
        return False
    said = f"{identifier}.{stamp}.".encode() + body
    good = False
    for secret in filter(None, secrets):
        right = base64.b64encode(hmac.new(_key(secret), said, hashlib.sha256).digest())
        for one in given:
            good |= hmac.compare_digest(right, one.encode("utf-8", "replace"))
    return good and abs(now.timestamp() - int(stamp)) <= WINDOW.total_seconds()


def _key(secret: str) -> bytes:
    """The key of a secret: base64 after "whsec_", otherwise the text itself."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
