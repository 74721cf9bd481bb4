"""The mailbox to which returned mail goes: reports become words about their messages, replies become facts.

A report counts only when it proves which message it is about: by the signed return address that it came to, or,
where the account sends without one, by our Message-ID, whose public id nobody can guess. Everything else is ignored.
Settings of the account: `envelope_from` with "{token}" ("bounce+{token}@shop.example"), and for polling `imap_host`,
`imap_port`, `imap_ssl`, `imap_username`, `imap_password_env`, `imap_folder` (docs/receipts.md).
"""

from __future__ import annotations

import hashlib
import imaplib
import logging
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.text import without_poison
from messaging import returned
from messaging.hearing import take_heard
from messaging.models import Account, Delivery
from messaging.outbox.accounts import sender_of
from messaging.receipts import Heard, Word
from messaging.returned import Returned, Status, read_mail
from messaging.tokens import BadToken, read_return_token
from messaging.words import delivery_of, take_words

log = logging.getLogger(__name__)
LARGEST = 10 * 1024 * 1024
KEPT = 8000  # characters of a report that are kept
TIMEOUT = 30.0
ROUND = 200  # mails fetched in one round
ACTIONS = {"failed": "", "delivered": "delivered", "relayed": "delivered", "expanded": "delivered"}
_TOKEN = re.compile(r"([0-9a-f]{1,16}-[0-9a-f]{20})(?=@)")


@dataclass(frozen=True)
class Fetched:
    """What one look into a mailbox brought: mails read, words and replies that were new, mails that proved nothing."""

    mails: int = 0
    new: int = 0
    ignored: int = 0


def take_mail(raw: bytes, *, account: Account, now: datetime) -> Fetched:
    """Take one mail. The same mail again changes nothing."""
    mail = read_mail(raw)
    if mail.kind in (returned.BOUNCE, returned.COMPLAINT):
        row = proven(mail, account)
        words = list(_words(mail, row, now)) if row is not None else []
        new = take_words(words, provider=account.key, now=now).new if words else 0
        return Fetched(1, new, 0 if words else 1)
    if mail.kind == returned.REPLY:
        heard = _heard(mail, raw, now)
        return Fetched(1, take_heard([heard], provider=account.key, now=now), 0) if heard else Fetched(1, 0, 1)
    return Fetched(1, 0, 1)


def proven(mail: Returned, account: Account) -> Delivery | None:
    """The message that a report is about, with proof; None for a report that anybody could have written."""
    tokens = [token for address in mail.to for token in _TOKEN.findall(address)]
    for token in tokens:
        try:
            return Delivery.objects.filter(pk=read_return_token(token), ghost=False).defer("context", "utm").first()
        except BadToken:
            continue
    if "{token}" in str(account.settings.get("envelope_from", "")) and mail.kind == returned.BOUNCE:
        return None
    found = (delivery_of(ref) for ref in mail.refs)
    return next((row for row in found if row is not None), None)


def _words(mail: Returned, row: Delivery, now: datetime) -> Iterator[Word]:
    ref = str(row.public_id)
    if mail.kind == returned.COMPLAINT:
        yield Word("complained", ref, f"{ref}:complained", now, _raw(mail))
    for status in mail.statuses:
        kind = kind_of(status)
        yield Word(kind, ref, f"{ref}:{kind}:{status.code}"[:255], now, _raw(mail, status))


def kind_of(status: Status) -> str:
    """A recipient's fate as a Receipt.Kind (RFC 3463): 5.1.x and 5.2.1 hard, 5.2.2 and a final 4.x soft; a delay, or
    a policy (5.7.x), says nothing about the address."""
    action = ACTIONS.get(status.action, "other")
    if action:
        return action
    kind, _, rest = status.code.partition(".")
    if kind == "4" or status.code == "5.2.2":
        return "soft"
    return "hard" if rest.startswith("1.") or status.code == "5.2.1" else "other"


def _raw(mail: Returned, status: Status | None = None) -> dict[str, Any]:
    said = {"subject": mail.subject, "message_id": mail.message_id, "text": mail.text[:KEPT]}
    if status is not None:
        said |= {"action": status.action, "status": status.code, "diagnosis": status.said}
    return {name: without_poison(value) for name, value in said.items()}


def _heard(mail: Returned, raw: bytes, now: datetime) -> Heard | None:
    """A reply to one of our messages; the last one that it names counts."""
    ref = next((ref for ref in reversed(mail.answers) if delivery_of(ref) is not None), "")
    if not ref:
        return None
    key = f"reply:{mail.message_id or hashlib.sha256(raw).hexdigest()}"[:255]
    said = {"subject": mail.subject, "message_id": mail.message_id}
    kept = {name: without_poison(value) for name, value in said.items()}
    return Heard("email", mail.sender, without_poison(mail.subject), without_poison(key), now, kept, ref=ref)


def fetch_mail(account: Account, *, now: datetime) -> Fetched:
    """Look into the account's mailbox by IMAP and take what is unseen; each mail is marked seen once it is taken.

    Raises OSError and imaplib.IMAP4.error when the mailbox cannot be reached.
    """
    settings = sender_of(account).settings
    mails = new = ignored = 0
    with _open(settings) as box:
        box.login(str(settings.get("imap_username", "")), str(settings.get("imap_password", "")))
        _must(box.select(str(settings.get("imap_folder") or "INBOX")))
        for uid in _must(box.uid("SEARCH", "UNSEEN"))[0].split()[:ROUND]:
            raw = _fetch(box, uid.decode())
            if raw is not None:
                taken = take_mail(raw, account=account, now=now)
                mails, new, ignored = mails + 1, new + taken.new, ignored + taken.ignored
            _must(box.uid("STORE", uid.decode(), "+FLAGS", r"(\Seen)"))
    log.info("mailbox account=%s mails=%d new=%d ignored=%d", account.key, mails, new, ignored)
    return Fetched(mails, new, ignored)


def _open(settings: Mapping[str, Any]) -> imaplib.IMAP4:
    host, port = str(settings["imap_host"]), int(settings.get("imap_port") or 993)
    if settings.get("imap_ssl", True):
        return imaplib.IMAP4_SSL(host, port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT)
    return imaplib.IMAP4(host, port, timeout=TIMEOUT)


def _fetch(box: imaplib.IMAP4, uid: str) -> bytes | None:
    """One mail without marking it; None for one that is too large to be a report."""
    size = re.search(rb"RFC822\.SIZE (\d+)", b"".join(_octets(_must(box.uid("FETCH", uid, "(RFC822.SIZE)")))))
    if size is None or int(size[1]) > LARGEST:
        return None
    for one in _must(box.uid("FETCH", uid, "(BODY.PEEK[])")):
        if isinstance(one, tuple):
            return bytes(one[1])
    return None


def _octets(answer: list[Any]) -> Iterator[bytes]:
    for one in answer:
        yield from (part for part in (one if isinstance(one, tuple) else (one,)) if isinstance(part, bytes))


def _must(answer: tuple[str, list[Any]]) -> list[Any]:
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(f"the mailbox answers {kind}")
    return data


def mailboxes() -> list[Account]:
    """The accounts that have a mailbox to look into."""
    return [row for row in Account.objects.filter(active=True).order_by("id") if row.settings.get("imap_host")]
