"""Signed tokens: one purpose each, naming a delivery (or a person) by number, never by address.

The form and keys are those of django.core.signing.Signer with a salt per purpose, so SECRET_KEY_FALLBACKS
rotates them; signing here keeps the HMAC's first blocks, because a message carries many links.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import b2a_base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, Signer

SEP = "."
LONGEST = 4096
_URLSAFE = bytes.maketrans(b"+/", b"-_")
_INNER, _OUTER = (bytes(octet ^ pad for octet in range(256)) for pad in (0x36, 0x5C))
INBOX_LIFE = timedelta(days=30)


class Purpose(StrEnum):
    """What a token may do; each has a salt of its own."""

    CLICK = "click"
    OPEN = "open"
    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    CONFIRM = "confirm"
    VIEW = "view"
    INBOX = "inbox"
    RETURN = "return"


class BadToken(Exception):
    """Not a token of this purpose: forged, cut, altered, or signed with a key that is gone."""


@dataclass(frozen=True)
class Named:
    """What a token names: a delivery, the address row it went to (0 without), and for a click the link (0 when
    the destination is `url`)."""

    delivery: int
    address: int = 0
    link: int = 0
    url: str = ""


def make(purpose: Purpose, delivery: int, address: int | None, *, link: int = 0, url: str = "") -> str:
    """A token. About 2 µs."""
    body = f"{delivery:x}-{address or 0:x}"
    if link or url:
        body += f"-{link:x}"
    if url:
        body += "-" + urlsafe_b64encode(url.encode()).decode().rstrip("=")
    return _sign(purpose, body)


def read(purpose: Purpose, token: str) -> Named:
    """What the token names. Raises BadToken."""
    parts = _unsign(purpose, token).split("-", 3)
    try:
        delivery, address, link = (int(part, 16) for part in [*parts[:3], "0"][:3])
        url = urlsafe_b64decode(parts[3] + "=" * (-len(parts[3]) % 4)).decode() if len(parts) > 3 else ""
    except ValueError:
        raise BadToken from None
    return Named(delivery, address, link, url)


def inbox_token(profile: int, *, now: datetime) -> str:
    """A token by which an app reads one person's inbox for 30 days."""
    return _sign(Purpose.INBOX, f"{profile:x}-{int(now.timestamp()):x}")


def read_inbox_token(token: str, *, now: datetime) -> int:
    """The person's id. Raises BadToken, also for a token that is too old."""
    try:
        profile, issued = (int(part, 16) for part in _unsign(Purpose.INBOX, token).split("-"))
    except ValueError:
        raise BadToken from None
    if not 0 <= now.timestamp() - issued <= INBOX_LIFE.total_seconds():
        raise BadToken
    return profile


def return_token(delivery: int) -> str:
    """What stands in the envelope's sender, so that a returned mail names its message and nobody can invent one: in
    lower case and short, since it is part of an address (RFC 5321 §4.5.3.1.1: 64 octets)."""
    return f"{delivery:x}-{_return_mac(f'{delivery:x}', settings.SECRET_KEY)}"


def read_return_token(token: str) -> int:
    """The delivery's id. Raises BadToken."""
    body, _, given = token.strip().lower().partition("-")
    if not body.isascii() or not given.isascii() or len(body) > 16:
        raise BadToken
    good = False
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        good |= hmac.compare_digest(_return_mac(body, secret), given)
    try:
        delivery = int(body, 16)
    except ValueError:
        raise BadToken from None
    if not good:
        raise BadToken
    return delivery


def _return_mac(body: str, secret: str | bytes) -> str:
    return _mac(Purpose.RETURN, secret, body).hex()[:20]


def _salt(purpose: Purpose) -> str:
    return f"messaging.{purpose.value}"


def _sign(purpose: Purpose, body: str) -> str:
    signature = b2a_base64(_mac(purpose, settings.SECRET_KEY, body), newline=False)
    return body + SEP + signature.translate(_URLSAFE, b"=").decode()


def _mac(purpose: Purpose, secret: str | bytes, body: str) -> bytes:
    """HMAC-SHA256 (RFC 2104) in its two halves, each of which has taken in its key once and for all."""
    begun, ended = _keyed(purpose, secret)
    inner, outer = begun.copy(), ended.copy()
    inner.update(body.encode())
    outer.update(inner.digest())
    return bytes(outer.digest())


@lru_cache(maxsize=64)
def _keyed(purpose: Purpose, secret: str | bytes) -> tuple[Any, Any]:
    """The halves' beginnings, with the key that django.utils.crypto.salted_hmac would make for Signer."""
    salt = _salt(purpose) + "signer"
    secret = secret.encode() if isinstance(secret, str) else secret
    block = hashlib.sha256(salt.encode() + secret).digest().ljust(hashlib.sha256().block_size, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def _unsign(purpose: Purpose, token: str) -> str:
    """The body of a token that one of the keys, old ones too, has signed. Constant time."""
    if len(token) > LONGEST or not token.isascii():
        raise BadToken
    try:
        return Signer(sep=SEP, salt=_salt(purpose)).unsign(token)
    except BadSignature:
        raise BadToken from None
