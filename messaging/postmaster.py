"""Is this account fit to send? What the world's name servers say of its domain, and a message to try it with.

SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489) are what mailbox providers ask of whoever writes to many. Looking
needs the network and the package dnspython (it comes with the extra "dkim"); without them the answer is that nobody
could look, which is no fault of the domain.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from common.params import Invalid, Problem
from messaging.channels import Connection, Outcome, Outgoing, channels
from messaging.models import Account
from messaging.outbox.accounts import sender_of

Lookup = Callable[[str, str], Sequence[str]]  # name, type → texts; [] for none; raises Unreachable
SECONDS = 4.0
GOOD, WEAK, BAD, UNSEEN = "good", "weak", "bad", "unseen"


class Unreachable(Exception):
    """No name server answered, or nothing here can ask one."""


@dataclass(frozen=True)
class Told:
    """One record as it was found: its name, what it says, and how good that is (good, weak, bad, unseen)."""

    what: str
    name: str
    level: str
    said: str = ""
    mend: str = ""


def look_up(name: str, kind: str) -> Sequence[str]:
    """Ask the system's name servers. Raises Unreachable."""
    try:
        import dns.exception
        import dns.resolver
    except ImportError:
        raise Unreachable("dnspython") from None
    try:
        answer = dns.resolver.resolve(name, kind, lifetime=SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise Unreachable(type(error).__name__) from None
    if kind == "TXT":
        return ["".join(part.decode("utf-8", "replace") for part in row.strings) for row in answer]
    return [str(row) for row in answer]


def examine(account: Account, *, lookup: Lookup = look_up) -> list[Told]:
    """What is published for the account's domains."""
    domain = domain_of(account.sender)
    back = domain_of(str(account.settings.get("envelope_from") or account.sender))
    selector = str(account.settings.get("dkim_selector") or "")
    signing = str(account.settings.get("dkim_domain") or domain)
    if not domain:
        return []
    return [
        _ask(lookup, "SPF", back, "TXT", spf),
        _ask(lookup, "DKIM", f"{selector}._domainkey.{signing}", "TXT", dkim)
        if selector
        else Told("DKIM", signing, UNSEEN, "", _("name the selector in the settings: dkim_selector")),
        _ask(lookup, "DMARC", f"_dmarc.{domain}", "TXT", dmarc),
        _ask(lookup, "MX", back, "MX", mx),
    ]


def _ask(
    lookup: Lookup, what: str, name: str, kind: str, judge: Callable[[Sequence[str]], tuple[str, str, str]]
) -> Told:
    try:
        found = lookup(name, kind)
    except Unreachable as error:
        return Told(what, name, UNSEEN, "", _("nobody could look: %s") % error)
    level, said, mend = judge(found)
    return Told(what, name, level, said[:300], mend)


def spf(found: Sequence[str]) -> tuple[str, str, str]:
    records = [text for text in found if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
    if not records:
        return BAD, "", _("publish who may send: v=spf1 include:… ~all")
    if len(records) > 1:
        return BAD, " | ".join(records), _("two records are an error: leave one")
    last = records[0].lower().split()[-1]
    if last in ("+all", "all", "?all"):
        return BAD if last != "?all" else WEAK, records[0], _("it lets everybody send: end it with ~all or -all")
    if last not in ("~all", "-all") and not last.startswith("redirect="):
        return WEAK, records[0], _("end it with ~all or -all")
    return GOOD, records[0], ""


def dkim(found: Sequence[str]) -> tuple[str, str, str]:
    for text in found:
        tags = _tags(text)
        if "p" in tags:
            return (GOOD, text, "") if tags["p"] else (BAD, text, _("the key is revoked"))
    return BAD, "", _("publish the public key under this name")


def dmarc(found: Sequence[str]) -> tuple[str, str, str]:
    records = [text for text in found if text.lower().startswith("v=dmarc1")]
    if len(records) != 1:
        return BAD, " | ".join(records), _("publish one record: v=DMARC1; p=none; rua=mailto:…")
    policy = _tags(records[0]).get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return BAD, records[0], _("it has no policy (p=)")
    if policy == "none":
        return WEAK, records[0], _("it only watches: move to quarantine when the reports are clean")
    return GOOD, records[0], ""


def mx(found: Sequence[str]) -> tuple[str, str, str]:
    if not found:
        return WEAK, "", _("bounces cannot come back: publish where mail for this domain goes")
    return GOOD, " | ".join(found), ""


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].strip("> ").lower() if "@" in address else ""


def send_hello(account: Account, *, to: str) -> str:
    """Send a short message over this account, outside the ledger; returns "" or what the provider said.

    Raises Invalid (the address), ChannelError.
    """
    channel = channels.get(account.channel)
    address = channel.address_of(dict.fromkeys(channel.reads, to))
    if not channel.needs_address or not address:
        raise Invalid([Problem("to", _("this channel cannot send a test there"))])
    text = _("This is a test of the account %(name)s. It works.") % {"name": account.title}
    parts: dict[str, Any] = {"subject": _("Test"), "title": _("Test"), "text": text, "body": text}
    ref = str(uuid.uuid4())
    opened: AbstractContextManager[Connection] = channel.connect(sender_of(account))
    with opened as connection:
        message = Outgoing(ref=ref, to=address, to_name="", parts=parts, message_id=f"<test.{ref}@perennial>")
        answer = next(iter(connection.send([message])))
    return "" if answer.outcome == Outcome.SENT else f"{answer.outcome}: {answer.code}"
