"""What both ways of push have in common: a title, a body, where a tap leads, a picture, and how long it is of use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from messaging.channels import Outgoing

PARTS = ("title", "body", "url", "image")
MOST = 3800  # octets of all parts: the services take 4 KiB of message, ours has a frame and is encrypted
LONGEST = timedelta(days=28)
EXTRA = "push needs the package cryptography: pip install 'perennial[push]'"


def told(message: Outgoing) -> dict[str, str]:
    """The parts that say something, without blanks around them."""
    parts = {name: message.parts.get(name, "").strip() for name in PARTS}
    return {name: value for name, value in parts.items() if value}


def wrong(parts: Mapping[str, str]) -> str:
    """Why these parts can never be sent, or ""."""
    if not (parts.get("title", "").strip() or parts.get("body", "").strip()):
        return "neither title nor body"
    size = sum(len(parts.get(name, "").encode("utf-8", "replace")) for name in PARTS)
    return f"the message has {size} bytes, at most {MOST}" if size > MOST else ""


def seconds_left(message: Outgoing) -> int:
    """How long a service may keep the message for a device that is off: until it expires, at most four weeks."""
    if message.expires_at is None or message.at is None:
        return int(LONGEST.total_seconds())
    return int(max(timedelta(), min(message.expires_at - message.at, LONGEST)).total_seconds())
