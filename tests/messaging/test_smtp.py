"""SMTP sessions: commands in one journey or one by one, return paths, TLS by policy, signatures, worn-out connections."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import dkim
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from messaging.channels import Answer, ChannelError, Outcome, Outgoing, Sender, _smtp, channels
from messaging.channels._smtp import envelope_from

AT = datetime(2026, 11, 2, 10, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)


class Session(StreamRequestHandler):
    """Answers as its server says; writes down what it hears, and how many octets came before it answered."""

    server: Any

    def handle(self) -> None:
        self.server.sessions += 1
        self.say("220 ready")
        while line := self.rfile.readline():
            self.server.heard.append(line.decode("latin-1").rstrip("\r\n"))
            if not self.answer(line.decode("latin-1").strip().upper()):
                return

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def answer(self, line: str) -> bool:
        verb = line.partition(" ")[0]
        if verb == "EHLO":
            for offer in ["mail.example", *self.server.offers]:
                self.say(f"250-{offer}")
            self.say("250 8BITMIME")
        elif verb == "STARTTLS":
            self.say("220 go")
            self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        elif verb == "DATA":
            self.data()
        else:
            self.say(self.server.says.get(verb, "250 fine"))
        return verb != "QUIT"

    def data(self) -> None:
        reply = self.server.says.get("DATA", "354 go on")
        self.say(reply)
        if not reply.startswith("354"):
            return
        body = b""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            body += line.removeprefix(b".") if line.startswith(b"..") else line
        self.server.bodies.append(body)
        self.say(self.server.says.get(".", "250 taken" if body else "554 no valid recipients"))


@contextmanager
def serving(*offers: str, tls: ssl.SSLContext | None = None, **says: str) -> Iterator[Any]:
    server: Any = ThreadingTCPServer(("127.0.0.1", 0), Session)
    server.daemon_threads, server.offers, server.tls, server.says = True, offers, tls, says
    server.heard, server.bodies, server.sessions = [], [], 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        _smtp.close_all()
        server.shutdown()
        server.server_close()


def sender(server: Any, **settings: Any) -> Sender:
    said = {"host": "localhost", "port": server.server_address[1], "timeout": 5, **settings}
    return Sender("mail", "smtp", "Shop <shop@example.com>", "", said)


def message(n: int = 0, **fields: Any) -> Outgoing:
    parts = {"subject": "Grüße 您好", "text": "Hello\n.dot\n", "html": "<p>Hello</p>"}
    return Outgoing(f"{n}", f"n{n}@example.com", "", parts, message_id=f"<{n}@example.com>", at=AT, **fields)


def send(who: Sender, *batch: Outgoing) -> list[Answer]:
    with channels.get("email").connect(who) as wire:
        return list(wire.send(batch))


@pytest.mark.parametrize("offers", [("PIPELINING",), ()])
def test_the_same_is_said_in_one_journey_or_in_three(offers: tuple[str, ...]) -> None:
    with serving(*offers) as server:
        answers = send(sender(server), message(), message(1))
    assert [one.outcome for one in answers] == [Outcome.SENT, Outcome.SENT]
    assert [line for line in server.heard if line.startswith(("MAIL", "RCPT", "DATA"))] == [
        "MAIL FROM:<shop@example.com> BODY=8BITMIME", "RCPT TO:<n0@example.com>", "DATA",
        "MAIL FROM:<shop@example.com> BODY=8BITMIME", "RCPT TO:<n1@example.com>", "DATA",
    ]  # fmt: skip
    assert len(server.bodies) == 2
    assert b"\r\n.dot\r\n" in server.bodies[0]


CASES = [
    ({"MAIL": "550 5.1.8 bad sender"}, Outcome.PERMANENT, "MAIL 550 5.1.8", False),
    ({"MAIL": "451 4.7.0 slow down"}, Outcome.TRANSIENT, "MAIL 451 4.7.0", True),
    ({"RCPT": "550 5.1.1 nobody"}, Outcome.PERMANENT, "550 5.1.1", False),
    ({"RCPT": "450 4.2.1 grey"}, Outcome.TRANSIENT, "450 4.2.1", False),
    ({"RCPT": "452 4.5.3 too many"}, Outcome.TRANSIENT, "452 4.5.3", True),
    ({"RCPT": "421 4.3.2 closing"}, Outcome.TRANSIENT, "421 4.3.2", True),
    ({"DATA": "454 4.7.0 not now"}, Outcome.TRANSIENT, "DATA 454 4.7.0", True),
    ({".": "451 4.3.0 later"}, Outcome.TRANSIENT, "DATA 451 4.3.0", True),
    ({".": "554 5.6.0 refused"}, Outcome.PERMANENT, "DATA 554 5.6.0", False),
    ({".": "421 4.3.2 closing"}, Outcome.UNKNOWN, "DATA 421 4.3.2", False),
]


@pytest.mark.parametrize("offers", [("PIPELINING",), ()])
@pytest.mark.parametrize(("says", "outcome", "code", "slows"), CASES)
def test_each_refusal_has_the_same_answer_either_way(
    says: dict[str, str], outcome: Outcome, code: str, slows: bool, offers: tuple[str, ...]
) -> None:
    with serving(*offers, **says) as server:
        (answer,) = send(sender(server), message())
    assert (answer.outcome, answer.code, answer.slows) == (outcome, code, slows)
    assert [body for body in server.bodies if body] == (server.bodies if "." in says else [])


def test_a_body_that_is_invited_in_vain_is_empty_and_the_session_goes_on() -> None:
    """RFC 2920 §3.1: the server may answer 354 although it refused the only recipient."""
    with serving("PIPELINING", RCPT="550 5.1.1 nobody") as server:
        first, second = send(sender(server), message(), message(1))
    assert (first.code, second.code) == ("550 5.1.1", "550 5.1.1")
    assert server.bodies == [b"", b""]
    assert server.sessions == 1
    assert server.heard.count("RSET") >= 2 or "rset" in server.heard


def test_a_connection_is_replaced_after_its_number_of_messages() -> None:
    with serving("PIPELINING") as server:
        who = sender(server, max_messages=2)
        for start in (0, 2, 4):
            send(who, message(start), message(start + 1))
        assert server.sessions == 3


# return paths


def test_each_message_has_its_return_path() -> None:
    with serving() as server:
        who = sender(server, envelope_from="bounce+{token}@shop.example")
        send(who, message(return_token="1f-0123456789abcdef0123"), message(1))
    mails = [line for line in server.heard if line.startswith("MAIL")]
    assert mails == [
        "MAIL FROM:<bounce+1f-0123456789abcdef0123@shop.example> BODY=8BITMIME",
        "MAIL FROM:<bounce@shop.example> BODY=8BITMIME",
    ]
    assert envelope_from("{token}@b.example", "") == "test@b.example"


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that its own authority is, with its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
        .serial_number(1).not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(KEY, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(PEM + made.public_bytes(serialization.Encoding.PEM))
    return file


def context(file: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    return made


def test_starttls_by_policy(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving("STARTTLS", tls=context(certificate)) as server:
        for policy in (True, "offered"):
            assert send(sender(server, starttls=policy), message())[0].outcome is Outcome.SENT
            _smtp.close_all()
        assert server.heard.count("STARTTLS") == 2
        assert send(sender(server, starttls=False), message())[0].outcome is Outcome.SENT
    with serving() as server:
        assert send(sender(server, starttls="offered"), message())[0].outcome is Outcome.SENT
    with serving() as server, pytest.raises(ChannelError):
        send(sender(server, starttls=True), message())
    assert server.bodies == []


def test_a_certificate_that_nobody_vouches_for_ends_it(certificate: Path) -> None:
    with serving("STARTTLS", tls=context(certificate)) as server, pytest.raises(ChannelError, match="SSL"):
        send(sender(server, starttls="offered"), message())
    assert server.bodies == []


# DKIM


def test_a_signature_that_a_receiver_accepts() -> None:
    headers = {"List-Unsubscribe": "<https://shop.example/u/1>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    with serving() as server:
        who = sender(server, dkim_selector="s1", dkim_domain="example.com", dkim_key=PEM.decode())
        assert send(who, message(headers=headers))[0].outcome is Outcome.SENT
    (body,) = server.bodies
    public = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    import base64

    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record

    assert dkim.verify(body, dnsfunc=dns)
    assert asked == [b"s1._domainkey.example.com."]
    assert not dkim.verify(body.replace(b"Hello", b"Hallo"), dnsfunc=dns)
    assert not dkim.verify(body.replace(b"\r\nTo:", b"\r\nFrom: x@evil.example\r\nTo:", 1), dnsfunc=dns)
    signed = body.partition(b"h=")[2].partition(b";")[0].lower()
    assert b"list-unsubscribe-post" in signed
    assert b"8bit" not in body


@pytest.mark.parametrize("wrong", [{"dkim_key": "no key"}, {"dkim_key": ""}, {"dkim_domain": ""}])
def test_a_key_that_cannot_sign_closes_the_account(wrong: dict[str, str]) -> None:
    with serving() as server:
        said = {"dkim_selector": "s1", "dkim_domain": "example.com", "dkim_key": PEM.decode(), **wrong}
        with pytest.raises(ChannelError) as error:
            send(sender(server, **said), message())
    assert error.value.permanent
    assert server.sessions == 0
