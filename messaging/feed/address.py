"""Addresses of feeds: which hosts may be asked, and how a person's values come into path or query and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

_SLOT = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"(profile|event|journey|coupon|points|level)(\.[A-Za-z0-9_]+)+|locale")
SHARED = "locale"  # the one variable that is nobody's own
LONGEST = 2000  # characters of a whole address
LONGEST_VALUE = 200  # characters of one value


def slots(url: str) -> list[str]:
    """The variables of an address, in order: profile.city, locale."""
    return _SLOT.findall(url)


def is_personal(url: str) -> bool:
    """Whether the address differs from person to person."""
    return any(name != SHARED for name in slots(url))


def faults(url: str) -> list[str]:
    """Everything that keeps an address from being asked, in the active language."""
    found = [_("there is no variable '{%(name)s}' for an address") % {"name": name} for name in _unknown(url)]
    plain = _SLOT.sub("x", url)
    try:
        parts = urlsplit(plain)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return [*found, _("this is not an address")]
    if re.search(r"[\x00-\x20\x7f\\{}#]", plain):
        found.append(_("a blank, a backslash, a brace or a # is not allowed"))
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.OUTBOUND_HTTP):
        found.append(_("only https may be called"))
    if not host or "@" in parts.netloc:
        found.append(_("a host is needed, and no user name"))
    elif _SLOT.search(urlsplit(url).netloc) or _SLOT.search(url.partition(":")[0]):
        found.append(_("a variable may stand in the path or the query, never in the host"))
    elif not is_allowed(host, port):
        found.append(_("the host is not in FEED_HOSTS: %(host)s") % {"host": host})
    return found


def _unknown(url: str) -> list[str]:
    return [name for name in slots(url) if not _NAME.fullmatch(name)]


def is_allowed(host: str, port: int | None) -> bool:
    """Whether FEED_HOSTS names this host: "api.example.com" exactly, ".example.com" with all below it, each perhaps
    with a port, which then is the only one; without, the usual ones."""
    name = _ascii(host)
    for entry in settings.FEED_HOSTS:
        allowed, _colon, wanted = entry.strip().partition(":")
        allowed = _ascii(allowed)
        if not allowed or (wanted and str(port) != wanted) or (not wanted and port not in (None, 80, 443)):
            continue
        if name == allowed or (allowed.startswith(".") and name.endswith(allowed)):
            return True
    return False


def _ascii(host: str) -> str:
    """A host as DNS writes it: lower case, IDNA, without the final dot; "" for what is no host."""
    dot, bare = "." if host.startswith(".") else "", host.strip(".").lower()
    try:
        return dot + bare.encode("idna").decode() if bare else ""
    except UnicodeError:
        return ""


def fill(url: str, variables: Mapping[str, Any]) -> str | None:
    """The address for these variables, values percent-encoded whole; None when one is missing, empty, too long, or
    would climb in the path."""
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        said = _value(variables, found[1])
        missing = missing or not said or said in (".", "..") or len(said) > LONGEST_VALUE
        return quote(said.encode("utf-8", "replace"), safe="")

    whole = _SLOT.sub(value, url)
    return None if missing or len(whole) > LONGEST else whole


def _value(variables: Mapping[str, Any], name: str) -> str:
    at: Any = variables
    for step in name.split("."):
        at = at.get(step) if isinstance(at, Mapping) else None
    if isinstance(at, bool) or not isinstance(at, str | int | float):
        return ""
    return str(at).strip()
