"""MIME by a prebuilt skeleton: the standard classes cost twelve times as much and say the same.

What the skeleton does not do for us is done here: no header takes CR, LF or NUL; what is not ASCII becomes
RFC 2047 words of at most 75 characters, folded; a body goes as 8bit when its lines allow it (998 octets,
RFC 5321) and as base64 otherwise; lines end in CRLF and a leading dot is doubled (RFC 5321 §4.5.2).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

LINE = 998
FOLD = 76
WORD = 45  # octets in one encoded word: 60 characters of base64 between "=?utf-8?b?" and "?="
_BREAKS = re.compile(r"[\r\n\x00]")
_NAME = re.compile(r"[!-9;-~]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]\\@\x00-\x1f\x7f]+@[^\s<>,;:\"()\\@\x00-\x1f\x7f]+")
_EOL = re.compile(rb"\r\n|\r|\n")


class BadHeader(ValueError):
    """A header or an address that must not reach the wire; the message says which."""


def check_value(name: str, value: str) -> None:
    """Refuse what could start a header of its own. Raises BadHeader."""
    if not _NAME.fullmatch(name):
        raise BadHeader(f"'{name[:40]}' is not a header name")
    if _BREAKS.search(value):
        raise BadHeader(f"line break in {name}")


def check_address(value: str) -> None:
    """Refuse all but one bare mailbox in ASCII (SMTPUTF8 is not spoken). Raises BadHeader."""
    if len(value) > 254 or not value.isascii() or not _ADDRESS.fullmatch(value):
        raise BadHeader("not a single mailbox")


def header(name: str, value: str) -> str:
    """One folded header line with its CRLF. Raises BadHeader."""
    check_value(name, value)
    line = f"{name}: {value}"
    if value.isascii() and "=?" not in value:
        if len(line) <= FOLD:
            return line + "\r\n"
        if max(map(len, value.split(" "))) < LINE - len(name) - 2:
            return _fold(line) + "\r\n"
    return f"{name}: " + "\r\n ".join(words(value)) + "\r\n"


def _fold(line: str) -> str:
    """Break a long ASCII line before a single space between two visible characters, as late as possible."""
    done: list[str] = []
    while len(line) > FOLD:
        cut = _cut(line)
        if cut == -1:
            break
        done.append(line[:cut])
        line = line[cut:]
    return "\r\n".join([*done, line])


def _cut(line: str) -> int:
    start = line.find(": ") + 2 if not line.startswith(" ") else 1
    places = [at for at in range(start + 1, len(line) - 1) if line[at] == " " and line[at - 1] != " " != line[at + 1]]
    before = [at for at in places if at <= FOLD]
    return before[-1] if before else (places[0] if places else -1)


def words(value: str) -> list[str]:
    """RFC 2047 encoded words, broken between characters, each within 75."""
    pieces: list[str] = []
    piece = b""
    for character in value:
        octets = character.encode("utf-8", "replace")
        if len(piece) + len(octets) > WORD:
            pieces.append(_word(piece))
            piece = b""
        piece += octets
    return [*pieces, _word(piece)]


def _word(octets: bytes) -> str:
    return f"=?utf-8?b?{b64encode(octets).decode()}?="


def short(name: str) -> str:
    """A recipient's name cut to one encoded word: readers disagree about the blank between two of them."""
    if name.isascii():
        return name[:60].rstrip()
    return name.encode()[:WORD].decode("utf-8", "ignore").rstrip()


def mailbox(name: str, address: str) -> str:
    """`name <address>`, the name quoted or encoded as it needs. Raises BadHeader."""
    check_address(address)
    check_value("name", name)
    if not name:
        return address
    if name.isascii() and "=?" not in name:
        plain = name if _ATOMS.fullmatch(name) else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{plain} <{address}>"
    return "\r\n ".join([*words(name), f"<{address}>"])


def address_header(name: str, shown: str, address: str) -> str:
    """A From, To or Reply-To line."""
    value = mailbox(shown, address)
    joint = "\r\n " if len(value) > FOLD - len(name) and "\r\n" not in value and " <" in value else " "
    return f"{name}: " + (joint.join(value.rsplit(" ", 1)) if joint != " " else value) + "\r\n"


@lru_cache(maxsize=256)
def date(at: datetime) -> str:
    """The Date header's value, to the second."""
    return format_datetime(at)


def body(text: str, *, eight_bit: bool, boundary: str = "") -> tuple[bytes, bytes]:
    """The transfer encoding and the octets of one part, ending in CRLF; a text that holds the boundary is hidden
    in base64."""
    octets = text.encode("utf-8", "replace")
    octets = _EOL.sub(b"\r\n", octets) if b"\r" in octets else octets.replace(b"\n", b"\r\n")
    if (eight_bit or octets.isascii()) and not (boundary and boundary.encode() in octets):
        lines = octets.split(b"\r\n")
        if max(map(len, lines)) <= LINE and b"\x00" not in octets:
            return (b"7bit" if octets.isascii() else b"8bit"), octets if octets.endswith(b"\r\n") else octets + b"\r\n"
    return b"base64", b"\r\n".join(_lines(b64encode(octets))) + b"\r\n"


def _lines(encoded: bytes) -> Iterator[bytes]:
    for start in range(0, len(encoded), 76):
        yield encoded[start : start + 76]


def stuffed(octets: bytes) -> bytes:
    """Dots doubled at the beginning of lines, for DATA."""
    octets = octets.replace(b"\r\n.", b"\r\n..")
    return b"." + octets if octets.startswith(b".") else octets


def message(
    *,
    head: str,
    headers: Mapping[str, str],
    subject: str,
    text: str,
    html: str,
    boundary: str,
    eight_bit: bool,
) -> bytes:
    """The whole message, not dot-stuffed: `head` holds the finished lines (From, To, Date, Message-ID).

    text and html make a multipart/alternative; one alone stands alone. Raises BadHeader.
    """
    lines = [head, header("Subject", subject)]
    lines += [header(name, value) for name, value in headers.items()]
    lines.append("MIME-Version: 1.0\r\n")
    top = "".join(lines).encode("ascii")
    parts = [_part(kind, value, eight_bit, boundary) for kind, value in (("plain", text), ("html", html)) if value]
    if len(parts) < 2:
        return top + (parts[0] if parts else _part("plain", "", eight_bit, boundary))
    mark = b"--" + boundary.encode("ascii")
    kind = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'.encode("ascii")
    return b"".join([top, kind, mark, b"\r\n", parts[0], mark, b"\r\n", parts[1], mark, b"--\r\n"])


def _part(kind: str, value: str, eight_bit: bool, boundary: str) -> bytes:
    encoding, octets = body(value, eight_bit=eight_bit, boundary=boundary)
    top = b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: %b\r\n\r\n'
    return top % (kind.encode(), encoding) + octets
