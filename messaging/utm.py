"""UTM parameters on links: added before the fragment, never over what is there, and never re-encoding a byte.

The rules follow what Google Analytics reads and what other senders do (docs/utm.md): any utm_* already there
leaves the address alone, signed addresses would break, only http and https are tagged.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from common.text import utm_value

ORDER = (
    "utm_source", "utm_medium", "utm_campaign", "utm_id", "utm_content", "utm_term", "utm_source_platform",
    "utm_creative_format", "utm_marketing_tactic",
)  # fmt: skip
REQUIRED = ORDER[:3]
SIGNED = frozenset({"signature", "x-amz-signature", "x-goog-signature", "sign", "sig"})
POLICIES = ("keep", "fill", "overwrite")
LONG_VALUE, LONGEST_VALUE = 100, 420
LONG_URL, LONGEST_URL = 1000, 2000
_PHONE = re.compile(r"(?<!\d)\d{11}(?!\d)")


@dataclass(frozen=True)
class Remark:
    """What the lint says of a parameter or address; `error` ones must not be saved."""

    where: str
    message: str
    error: bool


def tag(url: str, params: Mapping[str, str], *, policy: str = "keep", hosts: Collection[str] = ()) -> str:
    """The address with the parameters before its fragment; itself, byte for byte, when it must be left alone.

    `policy` decides what happens when some utm_* is there: keep (leave the whole set alone), fill (add those
    missing), overwrite (replace those given). `hosts` limits tagging to these hosts and their subdomains.
    """
    if not params or not is_taggable(url, hosts=hosts):
        return url
    head, mark, fragment = url.partition("#")
    path, _, query = head.partition("?")
    pieces = query.split("&") if query else []
    there = {unquote(piece.split("=", 1)[0]).lower() for piece in pieces}
    given = dict(_in_order(params))
    if there & SIGNED or (policy == "keep" and any(name.startswith("utm_") for name in there)):
        return url
    if policy == "fill":
        given = {name: value for name, value in given.items() if name not in there}
    elif policy == "overwrite":
        pieces = [piece for piece in pieces if unquote(piece.split("=", 1)[0]).lower() not in given]
    pieces = pieces[:-1] if pieces and not pieces[-1] else pieces
    pieces += [f"{name}={quote(value, safe='')}" for name, value in given.items()]
    return path + ("?" + "&".join(pieces) if pieces else "") + mark + fragment


def tag_attribute(value: str, params: Mapping[str, str], **how: object) -> str:
    """`tag` for an href as it stands in HTML: on the decoded value, "&" escaped again; unchanged stays as it is."""
    url = html.unescape(value)
    tagged = tag(url, params, **how)  # type: ignore[arg-type]
    return value if tagged == url else html.escape(tagged, quote=True).replace("&#x27;", "'")


def is_taggable(url: str, *, hosts: Collection[str] = ()) -> bool:
    """Whether the address is http or https, and its host one of `hosts` (or below one) when any are named."""
    if url[:7].lower() != "http://" and url[:8].lower() != "https://":
        return False
    if not hosts:
        return True
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    return any(host == allowed.lower() or host.endswith("." + allowed.lower()) for allowed in hosts)


def named(params: Mapping[str, str]) -> dict[str, str]:
    """Parameters with their full names in their usual order, empty ones left out; "source" is utm_source."""
    full = {name if name.startswith("utm_") else f"utm_{name}": str(value) for name, value in params.items()}
    return dict(_in_order({name: value for name, value in full.items() if value}))


def lint(params: Mapping[str, str], *, url: str = "") -> list[Remark]:
    """What is wrong with a set of parameters (full names), and with a tagged address."""
    found = [Remark(name, "is required", True) for name in REQUIRED if not params.get(name)]
    for name, value in params.items():
        found += _value_remarks(name, value)
    if len(url) > LONG_URL:
        too_long = len(url) > LONGEST_URL
        found.append(Remark("url", f"is longer than {LONGEST_URL if too_long else LONG_URL} characters", too_long))
    return found


def _value_remarks(name: str, value: str) -> Iterable[Remark]:
    if "@" in value or _PHONE.search(value):
        yield Remark(name, "seems to name a person", True)
    elif value != utm_value(value):
        yield Remark(name, f"should be written '{utm_value(value)}'", False)
    if len(value) > LONG_VALUE:
        too_long = len(value) > LONGEST_VALUE
        yield Remark(name, f"is longer than {LONGEST_VALUE if too_long else LONG_VALUE} characters", too_long)


def _in_order(params: Mapping[str, str]) -> list[tuple[str, str]]:
    known = [(name, params[name]) for name in ORDER if name in params]
    return known + [(name, value) for name, value in params.items() if name not in ORDER]
