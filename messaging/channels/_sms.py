"""How many short messages a text costs: GSM 7-bit where its alphabet suffices, UCS-2 otherwise (3GPP TS 23.038).

A text in parts carries a header in each: 153 of 160 septets and 67 of 70 code units remain. A character of two
septets (€, brackets) or two code units (an emoji) is never cut, so a part may end one short.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from messaging.channels import ChannelError, Sender

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
GSM, UCS2 = "GSM-7", "UCS-2"
ALONE = {GSM: 160, UCS2: 70}
JOINED = {GSM: 153, UCS2: 67}
MOST = 10  # segments; more is a mistake of the template, and Twilio takes no more


@dataclass(frozen=True)
class Length:
    """The alphabet of a text, its units (septets or UTF-16 code units) and the short messages it takes."""

    alphabet: str
    units: int
    segments: int


def measure(text: str) -> Length:
    """Count a text; the empty one takes none."""
    alphabet = GSM if BASIC.union(EXTENDED).issuperset(text) else UCS2
    sizes = [_size(char, alphabet) for char in text]
    units = sum(sizes)
    segments = min(units, 1) if units <= ALONE[alphabet] else _joined(sizes, JOINED[alphabet])
    return Length(alphabet, units, segments)


def _size(char: str, alphabet: str) -> int:
    if alphabet == GSM:
        return 2 if char in EXTENDED else 1
    return 2 if ord(char) > 0xFFFF else 1


def _joined(sizes: Iterable[int], room: int) -> int:
    segments, used = 1, 0
    for size in sizes:
        if used + size > room:
            segments, used = segments + 1, 0
        used += size
    return segments


def too_long(text: str, most: int = MOST) -> str:
    """Why a text costs more than is allowed, or ""."""
    length = measure(text)
    if length.segments <= most:
        return ""
    return f"{length.segments} segments of {length.alphabet}, at most {most}"


def most_segments(sender: Sender) -> int:
    """The account's own limit (`max_segments`), or the most there is. Raises ChannelError for what is no number."""
    value = sender.settings.get("max_segments", MOST)
    if type(value) is not int or not 1 <= value <= MOST:
        raise ChannelError(f"the setting 'max_segments' is no number from 1 to {MOST}", permanent=True)
    return value
