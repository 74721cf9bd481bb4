"""SMTP on kept connections: one transaction and one recipient per message, and an honest answer for each.

Transient is only what surely precedes acceptance; whatever is lost after the first octet of the body is
unknown. A code says where it was given: bare at RCPT ("550 5.1.1": about the address), else with the command
("MAIL 550", "DATA 554").
"""

from __future__ import annotations

import re
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from common.faults import faultpoint
from messaging.channels import Answer, Bounce, ChannelError, Outcome, Outgoing, Sender
from messaging.channels._http import note_refused

IDLE = 15.0  # seconds after which a kept connection is asked whether it still lives
RENEW = 500  # messages after which it is replaced ("too many messages in this connection")
LOGIN = frozenset({530, 534, 535, 538})  # a log-in is missing or wrong (RFC 4954): the account's fault, no message's
BUSY = frozenset({421, 452, 454})  # at RCPT: the server, not the mailbox; other 4xx there concern one recipient
Steps = tuple[tuple[str, str, str, int], ...]  # where a refusal counts, verb, argument, code that is wanted
Build = Callable[[Outgoing, bool], bytes]  # message, whether 8bit is understood → octets ready for DATA
_ENHANCED = re.compile(rb"\b([245]\.\d{1,3}\.\d{1,3})\b")
_LOST = (smtplib.SMTPServerDisconnected, OSError)
_NOT_BEGUN = Answer(Outcome.NOT_BEGUN)
_local = threading.local()


def kept(sender: Sender, build: Build) -> Wire:
    """This thread's live connection for the account, opened or renewed as needed. Raises ChannelError."""
    wires: dict[str, Wire] = _local.__dict__.setdefault("wires", {})
    wire = wires.get(sender.key)
    if wire is not None and (wire.sender != sender or not wire.is_usable()):
        wire.close()
        wire = None
    if wire is None:
        wire = wires[sender.key] = Wire(sender, build)
    return wire


def close_all() -> None:
    """Say goodbye on every connection of this thread (worker shutdown, tests)."""
    for wire in _local.__dict__.pop("wires", {}).values():
        wire.close()


class Wire:
    """One open SMTP session. After an answer that leaves its state unclear it is broken and gets replaced."""

    def __init__(self, sender: Sender, build: Build) -> None:
        self.sender = sender
        self._build = build
        self._sent = 0
        self._broken = False
        self._smtp = _open(sender)
        self._eight_bit = self._smtp.has_extn("8bitmime")
        self._pipelines = self._smtp.has_extn("pipelining")
        self._from = str(sender.settings.get("envelope_from") or _bare(sender.sender))
        self._body = " BODY=8BITMIME" if self._eight_bit else ""
        self._used = time.monotonic()

    def is_usable(self) -> bool:
        """Whether the next message may go this way: neither broken nor worn out, and alive after idling."""
        if self._broken or self._sent >= int(self.sender.settings.get("max_messages", RENEW)):
            return False
        if time.monotonic() - self._used < IDLE:
            return True
        try:
            return self._smtp.noop()[0] == 250
        except (smtplib.SMTPException, OSError):
            return False

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        """One answer per message; once the connection is lost, the rest has surely not begun."""
        for message in batch:
            if self._broken:
                yield _NOT_BEGUN
                continue
            answer = self._send_one(message)
            self._used = time.monotonic()
            self._sent += 1
            yield answer

    def _send_one(self, message: Outgoing) -> Answer:
        try:
            octets = self._build(message, self._eight_bit)
        except ValueError as error:
            return Answer(Outcome.PERMANENT, f"MIME {error}"[:60])
        steps: Steps = (
            ("MAIL", "MAIL", f"FROM:<{envelope_from(self._from, message.return_token)}>{self._body}", 250),
            ("", "RCPT", f"TO:<{message.to}>", 250),
            ("DATA", "DATA", "", 354),
        )
        refused = self._pipelined(steps) if self._pipelines else self._one_by_one(steps)
        return refused or self._data(octets)

    def _one_by_one(self, steps: Steps) -> Answer | None:
        """MAIL, RCPT and the DATA command; an answer when one of them is refused."""
        for command, verb, argument, wanted in steps:
            if verb == "DATA":
                faultpoint("before_data")
            try:
                code, text = self._smtp.docmd(verb, argument)
            except (smtplib.SMTPException, OSError, UnicodeError) as error:
                self._broken = True
                return Answer(Outcome.TRANSIENT, f"{command} {type(error).__name__}".strip())
            if code != wanted and not (command == "" and code == 251):
                return self._refused(command, code, text)
        return None

    def _pipelined(self, steps: Steps) -> Answer | None:
        """The same commands in one journey (RFC 2920), every reply read before anything else is said. A server that
        invites the body although the envelope was refused gets an empty one."""
        faultpoint("before_data")
        replies: list[tuple[int, bytes]] = []
        try:
            self._smtp.send("".join(f"{verb} {argument}".rstrip() + "\r\n" for _, verb, argument, _ in steps))
            replies = [self._smtp.getreply() for _ in steps]
            failed = _first_refused(steps, replies)
            if failed is not None and replies[-1][0] == 354:
                self._smtp.send(b".\r\n")
                self._smtp.getreply()
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            self._broken = True
            command = steps[min(len(replies), 2)][0]
            return Answer(Outcome.TRANSIENT, f"{command} {type(error).__name__}".strip())
        return None if failed is None else self._refused(steps[failed][0], *replies[failed])

    def _refused(self, command: str, code: int, text: bytes) -> Answer:
        if code == 421 or code < 400:
            self._broken = True
        else:
            self._reset()
        if code in LOGIN:
            self._broken = True
            note_refused(self.sender, _code(command, code, text))
        if code < 500 or code in LOGIN:
            slows = code < 500 and (bool(command) or code in BUSY)
            return Answer(Outcome.TRANSIENT, _code(command, code, text), slows=slows)
        about = Bounce.NONE if command else bounce_of(code, text)
        return Answer(Outcome.PERMANENT, _code(command, code, text), bounce=about)

    def _data(self, octets: bytes) -> Answer:
        """The body and its answer: from here on silence means we do not know."""
        sock = self._smtp.sock
        assert sock is not None
        try:
            faultpoint("mid_data")
            sock.sendall(octets + b".\r\n")
            code, text = self._smtp.getreply()
        except (smtplib.SMTPException, OSError) as error:
            self._broken = True
            return Answer(Outcome.UNKNOWN, f"DATA {type(error).__name__}")
        faultpoint("after_reply")
        said = _code("DATA" if code != 250 else "", code, text)
        if code == 250:
            return Answer(Outcome.SENT, said, provider_ref=text.decode("utf-8", "replace")[:200])
        self._broken = self._broken or code == 421 or code < 400
        if code == 421 or code < 400:
            return Answer(Outcome.UNKNOWN, said)
        return Answer(Outcome.PERMANENT, said) if code >= 500 else Answer(Outcome.TRANSIENT, said, slows=True)

    def _reset(self) -> None:
        """Leave the failed transaction; a session that cannot do so is not used again."""
        try:
            self._broken = self._smtp.rset()[0] != 250 or self._broken
        except (smtplib.SMTPException, OSError):
            self._broken = True

    def close(self) -> None:
        self._broken = True
        with suppress(smtplib.SMTPException, OSError):
            self._smtp.quit()
        self._smtp.close()


def _open(sender: Sender) -> smtplib.SMTP:
    """Connect, secure and log in. Raises ChannelError; a refused password is permanent until corrected."""
    faultpoint("before_connect")
    settings = sender.settings
    host, timeout = str(settings.get("host", "localhost")), float(settings.get("timeout", 30))
    local = settings.get("local_hostname") or "localhost"
    try:
        if settings.get("ssl"):
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                host, int(settings.get("port", 465)), local, timeout=timeout, context=ssl.create_default_context()
            )
        else:
            smtp = smtplib.SMTP(host, int(settings.get("port", 25)), local, timeout=timeout)
        smtp.ehlo()
        if _wants_tls(smtp, settings.get("starttls")):
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo()
        if settings.get("username"):
            smtp.login(str(settings["username"]), str(settings.get("password", "")))
    except smtplib.SMTPAuthenticationError as error:
        raise ChannelError(f"AUTH {error.smtp_code}", permanent=error.smtp_code >= 500) from error
    except (smtplib.SMTPException, OSError) as error:
        raise ChannelError(f"{host}: {type(error).__name__}") from error
    return smtp


def _wants_tls(smtp: smtplib.SMTP, policy: object) -> bool:
    """True: always, and a server that does not offer it is not talked to; "offered": where it is; else never. A
    certificate that is not good ends the connection in every case."""
    return smtp.has_extn("starttls") if policy == "offered" else bool(policy)


def envelope_from(address: str, token: str) -> str:
    """The return path of one message; a mail that has no token (a test) loses the place for it as well."""
    if "{" not in address:
        return address
    return address.replace("{token}", token) if token else address.replace("+{token}", "").replace("{token}", "test")


def _first_refused(steps: Steps, replies: Sequence[tuple[int, bytes]]) -> int | None:
    """Which command was refused first."""
    for number, ((command, _, _, wanted), (code, _)) in enumerate(zip(steps, replies, strict=True)):
        if code != wanted and not (command == "" and code == 251):
            return number
    return None


def _bare(sender: str) -> str:
    """The address within "Name <address>"."""
    return sender.rsplit("<", 1)[-1].rstrip("> ") if "<" in sender else sender


def bounce_of(code: int, text: bytes) -> Bounce:
    """What a refusal at RCPT says about the mailbox (RFC 3463, RFC 5321): 5.1.x that there is none, 5.2.2 that it is
    full; 5.7.x is policy and says nothing about it."""
    enhanced = _enhanced(text)
    if enhanced:
        if enhanced.startswith("5.1."):
            return Bounce.HARD
        return Bounce.SOFT if enhanced == "5.2.2" else Bounce.NONE
    return {550: Bounce.HARD, 551: Bounce.HARD, 553: Bounce.HARD, 552: Bounce.SOFT}.get(code, Bounce.NONE)


def _code(command: str, code: int, text: bytes) -> str:
    return " ".join(filter(None, (command, str(code), _enhanced(text))))


def _enhanced(text: bytes) -> str:
    """The enhanced status code (RFC 3463) in a reply, or ""."""
    found = _ENHANCED.search(text)
    return found[1].decode() if found else ""
