"""DKIM (RFC 6376) for accounts whose relay does not sign: by dkimpy, which comes with the extra "dkim".

It signs in pure Python, about 10 ms a message with a key of 2048 bits; a relay that signs is faster. The body goes
as 7bit then, because a relay that converts it would break the signature (RFC 6376 §5.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from messaging.channels import ChannelError

# What a reader sees, and the headers of RFC 8058, which must be covered. From stands twice: one more that somebody
# adds on the way breaks the signature.
SIGNED = (
    "From", "From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type",
    "List-Unsubscribe", "List-Unsubscribe-Post",
)  # fmt: skip
Sign = Callable[[bytes], bytes]


def signer(settings: Mapping[str, Any]) -> Sign | None:
    """Puts a signature before a finished message, by `dkim_domain`, `dkim_selector` and `dkim_key` (PEM; as
    `dkim_key_env`); None when the account has no selector. Raises ChannelError for what cannot sign."""
    selector, domain = str(settings.get("dkim_selector") or ""), str(settings.get("dkim_domain") or "")
    if not selector:
        return None
    key = str(settings.get("dkim_key") or "").encode()
    if not domain or not key:
        raise ChannelError("DKIM needs dkim_domain and dkim_key_env", permanent=True)
    try:
        import dkim
    except ImportError:
        raise ChannelError("DKIM needs the extra 'dkim'", permanent=True) from None

    def sign(message: bytes) -> bytes:
        there = {line.partition(b":")[0].strip().lower() for line in message.partition(b"\r\n\r\n")[0].split(b"\r\n")}
        names = [name.lower().encode() for name in SIGNED if name.lower().encode() in there]
        return bytes(dkim.sign(message, selector.encode(), domain.encode(), key, include_headers=names)) + message

    try:
        sign(b"From: a@example.com\r\n\r\n\r\n")
    except Exception as error:  # whatever the library says of a key that is none
        raise ChannelError(f"DKIM: {type(error).__name__}", permanent=True) from error
    return sign
