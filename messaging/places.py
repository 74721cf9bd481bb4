"""Places of links as authors write them, and what is wrong with an address. No Django: the press reads it too."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

PLACE, INNER = "\x02", "\x03"  # what stands around the place of a link, and before a destination that people change
DANGEROUS = frozenset({"javascript", "data", "vbscript", "file", "blob", "about"})


@dataclass(frozen=True)
class Place:
    """One link as its author wrote it. `personal`: the destination has variables, and the token carries it."""

    url: str
    alias: str = ""
    tagged: bool = True
    tracked: bool = True
    personal: bool = False


@dataclass(frozen=True)
class Link:
    """A link as it stands in a source, with its line, and what is wrong with it ("" for nothing)."""

    line: int
    url: str
    fault: str = ""


@dataclass(frozen=True)
class Image:
    """An image as it stands in a source; `alt` None when it says nothing to who cannot see it."""

    line: int
    src: str
    alt: str | None


@dataclass(frozen=True)
class Seen:
    """What a reader of one source finds: links, images, and its words by line (Jinja tags and markup left out)."""

    links: tuple[Link, ...] = ()
    images: tuple[Image, ...] = ()
    words: tuple[tuple[int, str], ...] = ()


def is_web(url: str) -> bool:
    """Whether an address is http or https."""
    return url[:7].lower() == "http://" or url[:8].lower() == "https://"


def fault_of(url: str, *, personal: bool = False, open_start: bool = False) -> str:
    """Why nobody should be sent to this address, or "". `personal`: variables are in it; `open_start`: it begins with
    one, which then decides about the scheme."""
    if not url or url.startswith("#"):
        return "a link leads nowhere" if not url else ""
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", url)
    if scheme is None:
        return "" if personal and open_start else f"a link needs a full address: '{url[:60]}'"
    if scheme[1].lower() in DANGEROUS:
        return f"a link must not begin with {scheme[1].lower()}:"
    if not is_web(url):
        return "" if scheme[1].lower() not in ("http", "https") else f"a link is broken: '{url[:60]}'"
    return _host_fault(url, personal)


def _host_fault(url: str, personal: bool) -> str:
    if re.search(r"[\x00-\x20\x7f\\]", url):
        return f"a link holds a blank, a backslash or a control character: '{url[:60]}'"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return f"a link is broken: '{url[:60]}'"
    if "@" in parts.netloc:
        return f"a link must not carry a user name: '{url[:60]}'"
    if not host and not personal:
        return f"a link is broken: '{url[:60]}'"
    return ""
