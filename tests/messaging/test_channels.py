"""Channels: the skeleton says what the standard library says, and each transport answers for every message."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from hypothesis import example, given
from hypothesis import strategies as st

from messaging.channels import ChannelError, Outcome, Outgoing, Sender, _mime, _smtp, channels
from messaging.channels.email import Composer
from tests.messaging.witness import Witness

AT = datetime(2026, 11, 2, 10, tzinfo=UTC)
SMTP = Sender("mail", "smtp", "Shop <shop@example.com>", "", {})
HARD = ["=?", "=?utf-8?q?x?=", '"quoted"', "a,b", "<x@y>", "\\", "  two  blanks ", "。", "😀", "é", "x" * 1200, "."]
text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=300)
line = st.one_of(
    st.sampled_from(HARD),
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=200),
)


def outgoing(**fields: Any) -> Outgoing:
    parts = fields.pop("parts", {"subject": "Hello", "text": "Hello", "html": "<p>Hello</p>"})
    values = {
        "ref": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "to": "mei@example.com",
        "to_name": "Mei",
        "message_id": "<1@example.com>",
        "at": AT,
    }
    return Outgoing(parts=parts, **{**values, **fields})


def parsed(message: Outgoing, *, eight_bit: bool = True, sender: Sender = SMTP) -> EmailMessage:
    octets = Composer(sender)(message, eight_bit)
    for one in octets.split(b"\r\n"):
        assert len(one) <= 999, "a line of more than 998 octets (and a doubled dot)"
        assert b"\n" not in one
        assert b"\r" not in one
        assert b"\x00" not in one
    unstuffed = octets.replace(b"\r\n..", b"\r\n.")
    assert b"\r\n.\r\n" not in octets, "the message would end early"
    return message_from_bytes(unstuffed, policy=policy.SMTP)  # type: ignore[return-value]


def standard(subject: str, plain: str, html: str) -> EmailMessage:
    made = EmailMessage(policy=policy.SMTP)
    made["Subject"] = subject
    made.set_content(plain)
    made.add_alternative(html, subtype="html")
    return message_from_bytes(made.as_bytes(), policy=policy.SMTP)  # type: ignore[return-value]


def content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


@given(plain=text, html=text, eight_bit=st.booleans())
@example(plain=".\r\n..\n.", html="<p>" + "长" * 600 + "</p>", eight_bit=True)
@example(plain="--=_1b4e28ba2fa111d2883f0016d3cca427--\nafter", html="x", eight_bit=True)
@example(plain="a\rb\r\nc\n", html="\n\n", eight_bit=True)
def test_bodies_read_as_the_standard_library_reads_its_own(plain: str, html: str, eight_bit: bool) -> None:
    ours = parsed(outgoing(parts={"subject": "s", "text": plain or "-", "html": html or "-"}), eight_bit=eight_bit)
    theirs = standard("s", plain or "-", html or "-")
    assert ours.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in ours.iter_parts()] == ["text/plain", "text/html"]
    assert content(ours, "plain") == content(theirs, "plain")
    assert content(ours, "html") == content(theirs, "html")
    assert not ours.defects
    assert not any(part.defects for part in ours.walk())


@given(value=line)
@example(value="")
@example(value="=?utf-8?q?not_ours?=")
@example(value="春季新品限时优惠" * 30)
@example(value="word " * 60)
def test_a_subject_survives(value: str) -> None:
    subject = " ".join(value.split())
    ours = parsed(outgoing(parts={"subject": value, "text": "x"}))
    assert str(ours["Subject"]) == subject
    for one in _mime.header("Subject", subject).split("\r\n"):
        assert len(one) <= 998


@given(name=line.filter(lambda value: value == " ".join(value.split())))
def test_a_name_stands_beside_its_address(name: str) -> None:
    made = parsed(outgoing(to_name=name))["To"]
    assert [address.addr_spec for address in made.addresses] == ["mei@example.com"]
    assert made.addresses[0].display_name == _mime.short(name)
    assert isinstance(made.addresses[0], Address)


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\x00b"])
def test_no_header_takes_a_line_break(bad: str) -> None:
    channel = channels.get("email")
    for message in (outgoing(headers={"X-A": bad}), outgoing(to_name=bad), outgoing(to=f"mei{bad}@example.com")):
        assert channel.check(message) != ""
        with pytest.raises(_mime.BadHeader):
            Composer(SMTP)(message, True)
    assert str(parsed(outgoing(parts={"subject": bad.replace("\x00", ""), "text": "x"}))["Bcc"]) == "None"


@pytest.mark.parametrize(
    "bad", ["a@b, c@d", "a b@example.com", "<a@example.com>", "a@", "@b", "a@b@c", "", "a@b;c@d", "é@example.com"]
)
def test_an_address_is_one_mailbox(bad: str) -> None:
    assert channels.get("email").check(outgoing(to=bad)) == "not a single mailbox"


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (" Mei@Example.COM ", "mei@example.com"),
        ("mei@bücher.example", "mei@xn--bcher-kva.example"),
        ("mei", ""),
        ("", ""),
        ("mei@example.com, bo@example.com", ""),
        ("mei@exa\nmple.com", ""),
        ("莓@example.com", ""),
    ],
)
def test_addresses_are_normalised(given_value: str, expected: str) -> None:
    assert channels.get("email").address_of({"email": given_value}) == expected


def test_a_message_of_one_part_stands_alone() -> None:
    only_text = parsed(outgoing(parts={"subject": "s", "text": "plain"}))
    assert (only_text.get_content_type(), content(only_text, "plain")) == ("text/plain", "plain")
    only_html = parsed(outgoing(parts={"subject": "s", "html": "<b>x</b>"}))
    assert (only_html.get_content_type(), content(only_html, "html")) == ("text/html", "<b>x</b>")


def test_long_lines_and_old_servers_get_base64() -> None:
    assert _mime.body("é", eight_bit=True)[0] == b"8bit"
    assert _mime.body("é", eight_bit=False)[0] == b"base64"
    assert _mime.body("plain", eight_bit=False)[0] == b"7bit"
    assert _mime.body("x" * 998, eight_bit=True)[0] == b"7bit"
    assert _mime.body("x" * 999, eight_bit=True)[0] == b"base64"


def test_one_click_headers_are_whole() -> None:
    url = "<https://example.com/u/" + "t" * 300 + ">"
    made = parsed(outgoing(headers={"List-Unsubscribe": url, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}))
    assert (made["List-Unsubscribe"], made["List-Unsubscribe-Post"]) == (url, "List-Unsubscribe=One-Click")


# --- transports ---


def connect(sender: Sender, messages: Sequence[Outgoing]) -> list[tuple[str, str]]:
    with channels.get("email").connect(sender) as connection:
        return [(answer.outcome.value, answer.code) for answer in connection.send(messages)]


def smtp(sink: Witness, **settings: Any) -> Sender:
    return Sender("mail", "smtp", SMTP.sender, "", {"host": "127.0.0.1", "port": sink.port, "timeout": 5, **settings})


def test_a_connection_is_kept_and_renewed(sink: Witness) -> None:
    sender = smtp(sink, max_messages=3)
    assert connect(sender, [outgoing(), outgoing()]) == [("sent", "250")] * 2
    first = _smtp._local.wires["mail"]
    connect(sender, [outgoing()])
    assert _smtp._local.wires["mail"] is first
    connect(sender, [outgoing()])
    second = _smtp._local.wires["mail"]
    assert second is not first, "after three messages"
    second._used -= 60
    second._smtp.sock.close()
    assert connect(sender, [outgoing()]) == [("sent", "250")], "a dead connection is noticed after idling"
    assert len(sink.mails()) == 5


def test_after_a_refusal_the_connection_goes_on(sink: Witness) -> None:
    to = [
        "perm-1@example.com",
        "mei@example.com",
        "temp-1@example.com",
        "bo@example.com",
        "datatemp-1@example.com",
        "vip@example.com",
    ]
    answers = connect(smtp(sink), [outgoing(to=one) for one in to])
    assert answers == [
        ("permanent", "550 5.1.1"), ("sent", "250"), ("transient", "451 4.7.1"), ("sent", "250"),
        ("transient", "DATA 451 4.3.0"), ("sent", "250"),
    ]  # fmt: skip


def test_nobody_there_is_a_channel_error() -> None:
    with pytest.raises(ChannelError, match="ConnectionRefused") as raised:
        connect(Sender("none", "smtp", "a@example.com", "", {"host": "127.0.0.1", "port": 1}), [outgoing()])
    assert not raised.value.permanent
    with pytest.raises(ChannelError, match="no transport") as raised:
        connect(Sender("x", "pigeon", "a@example.com", "", {}), [outgoing()])
    assert raised.value.permanent


class Choosy(BaseEmailBackend):
    """Raises what the test asks for."""

    error: Exception | None = None

    def send_messages(self, email_messages: Any) -> int:
        if Choosy.error is not None:
            raise Choosy.error
        return 1


class Http(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, Outcome.SENT),
        (Http(429), Outcome.TRANSIENT),
        (Http(503), Outcome.TRANSIENT),
        (Http(400), Outcome.PERMANENT),
        (Http(302), Outcome.UNKNOWN),
        (Http(500), Outcome.UNKNOWN),
        (Http(504), Outcome.UNKNOWN),
        (TimeoutError(), Outcome.UNKNOWN),
        (ConnectionResetError(), Outcome.UNKNOWN),
        (smtplib.SMTPRecipientsRefused({"a": (550, b"no")}), Outcome.PERMANENT),
        (smtplib.SMTPRecipientsRefused({"a": (450, b"later")}), Outcome.TRANSIENT),
        (smtplib.SMTPDataError(451, b"later"), Outcome.TRANSIENT),
        (smtplib.SMTPServerDisconnected(), Outcome.UNKNOWN),
    ],
)
def test_only_an_explicit_answer_of_a_backend_is_an_answer(error: Exception | None, expected: Outcome) -> None:
    Choosy.error = error
    sender = Sender("b", "backend", "a@example.com", "", {"backend": f"{__name__}.Choosy"})
    assert connect(sender, [outgoing()])[0][0] == expected.value


def test_any_django_backend_carries_both_parts(mailoutbox: list[mail.EmailMessage]) -> None:
    sender = Sender(
        "b",
        "backend",
        "Shop <a@example.com>",
        "r@example.com",
        {"backend": "django.core.mail.backends.locmem.EmailBackend"},
    )
    assert connect(sender, [outgoing(headers={"List-Unsubscribe": "<https://example.com/u>"})]) == [("sent", "250")]
    sent = mailoutbox[0]
    assert (sent.subject, sent.body, sent.reply_to) == ("Hello", "Hello", ["r@example.com"])
    assert sent.extra_headers["Message-ID"] == "<1@example.com>"
    assert sent.extra_headers["List-Unsubscribe"] == "<https://example.com/u>"


class Asked(dict[str, Any]):
    """A person of whom nothing is known, and what was asked about them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def test_every_channel_keeps_its_contract() -> None:
    for key, channel in channels.items():
        assert channel.key == key
        assert channel.parts
        assert channel.html <= set(channel.parts)
        assert bool(channel.reads) == (channel.needs_address and not channel.registers)
        asked = Asked()
        assert channel.address_of(asked) == ""
        assert asked.names == set(channel.reads)
        assert channel.group >= 1


DOCS = Path(__file__).parents[2] / "docs"
TOLD = {"docs": ("yes", "no", "; ", "all", {"bytes": "bytes", "segments": "segments"}),
        "zh": ("是", "否", "；", "全部", {"bytes": "字节", "segments": "段"})}  # fmt: skip


@pytest.mark.parametrize("page", ["channels.md", "zh/channels.md"])
def test_what_a_channel_can_do_is_written_down(page: str) -> None:
    yes, no, join, every, units = TOLD["zh" if page.startswith("zh") else "docs"]
    rows = set((DOCS / page).read_text().splitlines())
    for channel in channels:
        limits = join.join(f"{one.part or every} {one.most} {units[one.unit]}" for one in channel.limits)
        cells = [
            f"`{channel.key}`",
            yes if channel.html else no,
            yes if channel.tracks_opens else no,
            channel.medium or "–",
            limits or "–",
            ", ".join(f"`{one}`" for one in sorted(channel.batches)) or no,
            str(channel.a_minute or "–"),
        ]
        assert f"| {' | '.join(cells)} |" in rows


def test_a_limit_is_what_is_refused() -> None:
    for channel in channels:
        assert channel.batches <= set(channel.transports)
        for one in channel.limits:
            part = one.part or "text" if "text" in channel.parts else one.part or "body"
            assert part in channel.parts
            far_too_long = {part: "长" * (one.most * 70), "title": "T"}
            assert channel.check(outgoing(to="+8613800138000", parts=far_too_long)) != ""
