"""Mail that comes back: delivery reports, complaints, replies and what is none of them, told apart.

Sources: RFC 3464 (delivery status), RFC 5965 (feedback), RFC 3834 (automatic answers). Servers that write plain text
instead are read by the codes and phrases they use, in English and Chinese; nothing here trusts what it reads: which
message is meant is proven by a signed return address or our unguessable Message-ID (messaging.mailbox).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

BOUNCE, COMPLAINT, REPLY, AUTOMATIC, OTHER = "bounce", "complaint", "reply", "automatic", "other"
DELIVERED_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Failed-Recipients", "To")
DAEMONS = ("mailer-daemon", "postmaster", "mail-daemon", "mdaemon", "mailerdaemon", "mail delivery")
COMPLAINTS = frozenset({"abuse", "fraud", "virus", "other"})  # "not-spam" takes one back, "auth-failure" is about us
AUTOMATIC_SUBJECT = re.compile(
    r"^\s*(auto(matic)?[ -]?(reply|response)|out of (the )?office|abwesen|自动(回复|答复)|外出)", re.IGNORECASE
)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")
_STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_REPLY_CODE = re.compile(r"(?<![\d.])(5\d\d|4\d\d)(?=[ \-#:])")
_NO_SUCH = re.compile(
    r"user (is )?unknown|unknown user|no such (user|recipient|mailbox|person|address)|does(n't| not) exist|"
    r"invalid (recipient|mailbox)|address rejected|not found|not our customer|no mailbox here|account.{0,20}disabled|"
    r"用户不存在|收件人.{0,12}不存在|邮箱.{0,8}不存在|地址不存在|帐号不存在|账号不存在|无此用户",
    re.IGNORECASE,
)
_FULL = re.compile(
    r"(mailbox|inbox|account).{0,20}full|over.?quota|quota exceeded|邮箱.{0,6}满|空间不足|容量", re.IGNORECASE
)
LONGEST = 65_536  # characters of text that are looked through


@dataclass(frozen=True)
class Status:
    """One recipient's fate in a delivery report: `action` as RFC 3464 has it, `code` the enhanced status code or the
    words that stand for one ("5.1.1" for a text that says so), `said` the diagnosis."""

    action: str
    code: str
    said: str = ""


@dataclass(frozen=True)
class Returned:
    """A mail that came to the mailbox. `to` are the addresses it was delivered to, `refs` the Message-IDs that the
    returned message bears, `answers` those it says it answers."""

    kind: str
    to: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    sender: str = ""
    subject: str = ""
    message_id: str = ""
    text: str = ""


def read_mail(raw: bytes) -> Returned:
    """Read one mail; whatever is broken in it, the answer is at worst OTHER."""
    mail = message_from_bytes(raw)
    parts = list(_parts(mail))
    common = {
        "to": tuple(_addresses(mail, *DELIVERED_TO)),
        "sender": next(iter(_addresses(mail, "From")), ""),
        "subject": _subject(mail),
        "message_id": next(iter(_ids(mail, "Message-ID")), ""),
        "answers": tuple(_ids(mail, "In-Reply-To", "References")),
        "text": _text(parts),
    }
    kind, statuses = _kind(mail, parts, str(common["text"]))
    refs = tuple(_returned_ids(parts, str(common["text"]))) if kind in (BOUNCE, COMPLAINT) else ()
    return Returned(kind, refs=refs, statuses=statuses, **common)  # type: ignore[arg-type]


def _kind(mail: Message, parts: list[Message], text: str) -> tuple[str, tuple[Status, ...]]:
    statuses = tuple(status for part in parts for status in _statuses(part))
    if statuses:
        return BOUNCE, statuses
    feedback = [part for part in parts if part.get_content_type() == "message/feedback-report"]
    if feedback:
        kinds = {_field(inner, "Feedback-Type").lower() for part in feedback for inner in _inner(part)}
        return (COMPLAINT if kinds & COMPLAINTS else OTHER), ()
    if _is_from_daemon(mail):
        found = _status_of_text(text)
        return (BOUNCE, (found,)) if found else (OTHER, ())
    if _is_automatic(mail):
        return AUTOMATIC, ()
    return (REPLY if _ids(mail, "In-Reply-To", "References") else OTHER), ()


def _parts(mail: Message, depth: int = 0) -> Iterator[Message]:
    """The parts of a mail, not looking into the messages that it carries."""
    yield mail
    if depth < 8 and mail.get_content_maintype() == "multipart" and mail.is_multipart():
        for part in mail.get_payload():
            if isinstance(part, Message):
                yield from _parts(part, depth + 1)


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _field(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())


def _statuses(part: Message) -> Iterator[Status]:
    """The recipients' blocks of a delivery-status part. A vague status ("5.0.0") yields to the diagnosis's code."""
    if part.get_content_type() not in ("message/delivery-status", "message/global-delivery-status"):
        return
    for block in _inner(part):
        action = _field(block, "Action").lower()
        if not action:
            continue
        code, said = _field(block, "Status").split(" ")[0], _field(block, "Diagnostic-Code")
        deeper = _STATUS.search(said)
        if deeper and (not code or code.endswith(".0.0")):
            code = deeper[0]
        if action == "failed" and (not code or code.endswith(".0.0")):
            told = _status_of_text(said)
            code = told.code if told else code
        yield Status(action, code, said[:500])


def _status_of_text(text: str) -> Status | None:
    """A failure as servers write it without a delivery-status part; None for what says nothing of one."""
    line = next((line.strip() for line in text.splitlines() if _STATUS.search(line) or _REPLY_CODE.search(line)), "")
    enhanced = _STATUS.search(line)
    if enhanced and not enhanced[0].endswith(".0.0") and enhanced[0][0] != "2":
        return Status("failed" if enhanced[0][0] == "5" else "delayed", enhanced[0], line[:500])
    if _NO_SUCH.search(text):
        return Status("failed", "5.1.1", line[:500])
    if _FULL.search(text):
        return Status("failed", "5.2.2", line[:500])
    reply = _REPLY_CODE.search(line)
    if reply is None:
        return None
    return Status("failed", "5.0.0", line[:500]) if reply[0][0] == "5" else Status("delayed", "4.0.0", line[:500])


def _is_from_daemon(mail: Message) -> bool:
    sender = f"{mail.get('From', '')}".lower()
    return any(name in sender for name in DAEMONS) or str(mail.get("Return-Path", "")).strip() == "<>"


def _is_automatic(mail: Message) -> bool:
    """RFC 3834, and what was in use before it."""
    submitted = _field(mail, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    if any(mail.get(name) for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress", "List-Id")):
        return True
    bulk = _field(mail, "Precedence").lower() in ("bulk", "auto_reply", "junk", "list")
    return bulk or bool(AUTOMATIC_SUBJECT.match(_subject(mail)))


def _returned_ids(parts: list[Message], text: str) -> Iterator[str]:
    """Message-IDs of the messages that a report carries, whole or their headers alone, or quotes in its text."""
    for part in parts:
        if part.get_content_type() in ("message/rfc822", "message/global"):
            for inner in _inner(part):
                yield from _ids(inner, "Message-ID")
        elif part.get_content_type() in ("text/rfc822-headers", "message/global-headers"):
            yield from _MESSAGE_ID.findall(_decoded(part))[:10]
    yield from re.findall(r"(?im)^message-id:\s*(<[^<>\s]{1,250}>)", text)[:3]


def _ids(mail: Message, *names: str) -> list[str]:
    return [found for name in names for found in _MESSAGE_ID.findall(str(mail.get(name, ""))[:4000])][-20:]


def _addresses(mail: Message, *names: str) -> Iterator[str]:
    values = [str(value)[:2000] for name in names for value in mail.get_all(name, [])[:10]]
    for _name, address in getaddresses(values):
        if "@" in address:
            yield address.strip().lower()[:254]


def _subject(mail: Message) -> str:
    """The subject decoded, also one in bare UTF-8; as it stands when its encoding is broken."""
    raw = next((value for name, value in mail.raw_items() if name.lower() == "subject"), "")
    text = str(raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        return " ".join(str(make_header(decode_header(text))).split())[:300]
    except (ValueError, LookupError, UnicodeError):
        return text[:300]


def _text(parts: list[Message]) -> str:
    found = [_decoded(part) for part in parts if part.get_content_type() == "text/plain"]
    found = found or [
        re.sub(r"<[^>]{0,500}>", " ", _decoded(part)) for part in parts if part.get_content_type() == "text/html"
    ]
    return "\n".join(found)[:LONGEST]


def _decoded(part: Message) -> str:
    octets = part.get_payload(decode=True)
    if not isinstance(octets, bytes):
        return "\n".join(f"{name}: {value}" for inner in _inner(part) for name, value in inner.items())
    charset = part.get_content_charset() or "utf-8"
    try:
        return octets[: 4 * LONGEST].decode("gb18030" if charset in ("gb2312", "gbk") else charset, "replace")
    except LookupError:
        return octets[: 4 * LONGEST].decode("utf-8", "replace")
