"""Returned mail: reports in the dialects of servers, complaints, replies, automatic answers, forgeries, and the ways in."""

from __future__ import annotations

import io
import sys
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from messaging.mailbox import Fetched, fetch_mail, take_mail
from messaging.models import Account, Address, Delivery, Receipt
from messaging.permission import is_suppressed
from messaging.returned import read_mail
from messaging.tokens import BadToken, read_return_token, return_token
from segments.facts import names
from segments.models import Event
from tests.messages import make_account
from tests.messaging.imap import Box, serving
from tests.messaging.mails import ONE_LINK, publish, sent
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
VERP = {"envelope_from": "bounce+{token}@shop.example"}


def mail(n: int = 0) -> Delivery:
    return sent(make_profile(email=f"n{n}@example.com"), publish(ONE_LINK, key=f"k{n}"))


def reached(row: Delivery) -> int:
    return Delivery.objects.values_list("reached", flat=True).get(pk=row.pk)


def returned_to(row: Delivery) -> str:
    return f"bounce+{return_token(row.pk)}@shop.example"


def dsn(
    row: Delivery, *, to: str, status: str = "5.1.1", said: str = "", action: str = "failed", extra: str = ""
) -> bytes:
    """A report as RFC 3464 has it, with the headers of our message."""
    return f"""Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <20260302.1@mx.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
{extra}
Final-Recipient: rfc822; n0@example.com
Action: {action}
Status: {status}
Diagnostic-Code: {said}

--B
Content-Type: text/rfc822-headers

From: Shop <shop@example.com>
Message-ID: <{row.public_id}@example.com>
Subject: Hello

--B--
""".replace("\n", "\r\n").encode()


def plain(
    to: str,
    text: str,
    *,
    sender: str = "MAILER-DAEMON@mx.example",
    charset: str = "utf-8",
    subject: str = "failure notice",
) -> bytes:
    made = EmailMessage()
    made["Return-Path"], made["From"], made["To"], made["Subject"] = "<>", sender, to, subject
    made["Message-ID"] = "<plain.1@mx.example>"
    made.set_content(text, charset=charset)
    return made.as_bytes()


# which message


@given(st.integers(min_value=1, max_value=2**62))
def test_a_return_address_names_its_message_in_any_case_and_fits(number: int) -> None:
    token = return_token(number)
    assert read_return_token(token) == read_return_token(token.upper()) == number
    assert len(f"bounce+{token}") <= 64


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1],
        lambda t: t + "0",
        lambda t: "2" + t,
        lambda t: t.replace("-", ""),
        lambda t: "",
        lambda t: "é-" + t,
    ],
)
def test_a_return_address_cannot_be_made_up(change: Any) -> None:
    with pytest.raises(BadToken):
        read_return_token(change(return_token(77)))


def test_an_old_key_still_proves_a_return_address(settings: Any) -> None:
    token = return_token(5)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert read_return_token(token) == 5


# reports


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        ("5.1.1", "smtp; 550 5.1.1 <n0@example.com>: Recipient address rejected: User unknown", "hard"),
        ("5.0.0", "smtp; 550 5.1.1 The email account that you tried to reach does not exist.", "hard"),
        ("5.0.0", "smtp; 550 Mailbox not found", "hard"),
        ("5.5.0", "smtp; 550 5.5.0 Requested action not taken", "other"),
        ("5.2.1", "smtp; 550 5.2.1 mailbox disabled", "hard"),
        ("5.2.2", "smtp; 552 5.2.2 Over quota", "soft"),
        ("5.0.0", "smtp;552 mailbox full", "soft"),
        ("5.7.1", "smtp; 550 5.7.1 Message rejected by policy", "other"),
        ("5.7.26", "smtp; 550-5.7.26 unauthenticated email is not accepted", "other"),
        ("4.4.7", "smtp; 451 message expired", "soft"),
    ],
)
def test_a_report_by_what_its_code_says_of_the_mailbox(status: str, said: str, kind: str) -> None:
    row = mail()
    account = make_account(settings=VERP)
    for new in (1, 0):
        assert take_mail(dsn(row, to=returned_to(row), status=status, said=said), account=account, now=NOW).new == new
    receipt = Receipt.objects.get()
    assert (receipt.kind, receipt.delivery_id) == (kind, row.pk)
    assert receipt.raw["said"]["diagnosis"].startswith("smtp;")
    assert is_suppressed("email", "n0@example.com") == (kind == "hard")


def test_a_delay_says_nothing_and_a_relay_says_delivered() -> None:
    row, other = mail(), mail(1)
    account = make_account(settings=VERP)
    take_mail(dsn(row, to=returned_to(row), action="delayed", status="4.4.1"), account=account, now=NOW)
    take_mail(dsn(other, to=returned_to(other), action="relayed", status="2.0.0"), account=account, now=NOW)
    assert (reached(row), reached(other)) == (Delivery.Reached.ACCEPTED, Delivery.Reached.DELIVERED)


def test_the_fifth_soft_report_without_a_delivery_between_suppresses() -> None:
    person, version = make_profile(email="n0@example.com"), publish(ONE_LINK)
    account = make_account(settings=VERP)
    for n in range(5):
        assert not is_suppressed("email", "n0@example.com")
        row = sent(person, version, prefix=f"p{n}")
        take_mail(dsn(row, to=returned_to(row), status="5.2.2"), account=account, now=NOW)
    assert is_suppressed("email", "n0@example.com")


DIALECTS = {
    "qmail": ("Hi. This is the qmail-send program at mx.example.\n\n<n0@example.com>:\n192.0.2.1 does not like recipient.\n"
              "Remote host said: 550 5.1.1 sorry, no mailbox here by that name\n", "hard"),
    "exim": ("A message that you sent could not be delivered.\n  n0@example.com\n    SMTP error from remote mail server "
             "after RCPT TO: 550 Unknown user\n", "hard"),
    "exchange": ("Delivery has failed to these recipients or groups:\nn0@example.com\nThe e-mail address you entered "
                 "couldn't be found. #550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found ##\n", "hard"),
    "163": ("抱歉，您的邮件被退回来了……\n收件人邮件地址（n0@example.com）不存在，邮件无法送达。\n550 User not found\n", "hard"),
    "qq": ("您的邮件无法投递给 n0@example.com\n退信原因：收件人邮箱地址不存在。\n", "hard"),
    "full": ("Your message to n0@example.com was rejected: the recipient's mailbox is full.\n", "soft"),
    "满": ("退信原因：对方邮箱已满，无法接收。\n", "soft"),
    "policy": ("554 5.7.1 Service unavailable; client host blocked using a list\n", "other"),
    "greylisted": ("451 4.7.1 Greylisting in action, will retry\n", "other"),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
def test_reports_in_plain_text(dialect: str, charset: str) -> None:
    text, kind = DIALECTS[dialect]
    row = mail()
    taken = take_mail(plain(returned_to(row), text, charset=charset), account=make_account(settings=VERP), now=NOW)
    assert (taken.new, Receipt.objects.get().kind) == (1, kind)


def test_what_proves_nothing_is_ignored() -> None:
    """An account that sends with a return address takes reports at that address only; without one, our id."""
    row = mail()
    account = make_account(settings=VERP)
    for to in ("postmaster@shop.example", f"bounce+{return_token(row.pk)[:-1]}0@shop.example".replace("00@", "0f@"),
               "bounce+1-00000000000000000000@shop.example"):  # fmt: skip
        assert take_mail(dsn(row, to=to), account=account, now=NOW) == Fetched(1, 0, 1)
    Account.objects.update(settings={})
    account.refresh_from_db()
    stranger = dsn(row, to="shop@example.com").replace(
        str(row.public_id).encode(), b"00000000-0000-0000-0000-000000000000"
    )
    assert take_mail(stranger, account=account, now=NOW) == Fetched(1, 0, 1)
    assert not Receipt.objects.exists()
    assert take_mail(dsn(row, to="shop@example.com"), account=account, now=NOW) == Fetched(1, 1, 0)


# complaints (RFC 5965, appendix B)


def arf(row: Delivery, kind: str = "abuse", *, whole: bool = True) -> bytes:
    original = f"From: <shop@example.com>\nTo: <n0@example.com>\nMessage-ID: <{row.public_id}@example.com>\nSubject: Earn money\n\nSpam\n"
    part = "message/rfc822" if whole else "text/rfc822-headers"
    return f"""From: <abusedesk@provider.example>
Date: Thu, 8 Mar 2026 17:40:36 -0500
Subject: FW: Earn money
To: <abuse@shop.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1"

--part1
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report for an email message received from IP 192.0.2.1.
--part1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1

--part1
Content-Type: {part}

{original}
--part1--
""".encode()


@pytest.mark.parametrize("whole", [True, False])
def test_a_complaint_suppresses_at_once(whole: bool) -> None:
    row = mail()
    account = make_account(settings=VERP)
    for new in (1, 0):
        assert take_mail(arf(row, whole=whole), account=account, now=NOW).new == new
    assert Address.objects.get(pk=row.address_id).suppressed == "complaint"
    assert reached(row) == Delivery.Reached.COMPLAINED
    assert Event.objects.filter(name=names.COMPLAINED).count() == 1


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", ""])
def test_feedback_that_is_no_complaint(kind: str) -> None:
    row = mail()
    assert take_mail(arf(row, kind), account=make_account(), now=NOW) == Fetched(1, 0, 1)
    assert not is_suppressed("email", "n0@example.com")


# replies


def reply(row: Delivery, *, sender: str = "n0@example.com", **headers: str) -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, "shop@example.com", "Re: Hello"
    made["Message-ID"] = "<reply.1@example.com>"
    made["In-Reply-To"] = f"<{row.public_id}@example.com>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("Thank you! Do you have it in blue?")
    return made.as_bytes()


@pytest.mark.parametrize("sender", ["n0@example.com", "alias@elsewhere.example"])
def test_a_reply_is_a_fact_once_whatever_address_it_comes_from(sender: str) -> None:
    row = mail()
    account = make_account()
    for new in (1, 0):
        assert take_mail(reply(row, sender=sender), account=account, now=NOW).new == new
    fact = Event.objects.get(name=names.MESSAGE_REPLIED)
    assert (fact.profile_id, fact.properties["delivery"], fact.properties["template"]) == (
        row.profile_id,
        str(row.public_id),
        "k0",
    )
    assert Address.objects.count() == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"}, {"Precedence": "bulk"}, {"X_Autoreply": "yes"},
        {"X_Auto_Response_Suppress": "All"}, {"Auto_Submitted": "auto-generated (challenge)"},
    ],
)  # fmt: skip
def test_an_absence_note_or_a_challenge_is_no_reply_and_no_bounce(headers: dict[str, str]) -> None:
    row = mail()
    assert take_mail(reply(row, **headers), account=make_account(), now=NOW) == Fetched(1, 0, 1)
    assert not Receipt.objects.exists()
    assert Address.objects.get(pk=row.address_id).refusals == []


@pytest.mark.parametrize("subject", ["Out of Office: Hello", "Automatic reply: Hello", "自动回复：您好"])
def test_an_absence_note_by_its_subject(subject: str) -> None:
    body = reply(mail()).replace(b"Subject: Re: Hello", f"Subject: {subject}".encode())
    assert take_mail(body, account=make_account(), now=NOW) == Fetched(1, 0, 1)


@given(st.binary(max_size=2000))
def test_anything_at_all_can_be_read(raw: bytes) -> None:
    assert read_mail(raw).kind in ("bounce", "complaint", "reply", "automatic", "other")


@given(st.data())
def test_a_broken_report_can_be_read(data: Any) -> None:
    whole = dsn(
        Delivery(public_id="b4f0c3d2-0000-4000-8000-000000000001"), to="bounce+1-00000000000000000000@shop.example"
    )
    start = data.draw(st.integers(0, len(whole)))
    raw = whole[:start] + data.draw(st.binary(max_size=60)) + whole[start + data.draw(st.integers(0, 200)) :]
    assert read_mail(raw).kind in ("bounce", "other", "automatic")


# the ways in


def test_mail_is_piped_to_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    row = mail()
    make_account(settings=VERP)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(dsn(row, to=returned_to(row)))))
    call_command("take_mail", "mail")
    assert capsys.readouterr().out == "1 mails, 1 new, 0 ignored\n"
    assert Receipt.objects.get().kind == "hard"
    with pytest.raises(CommandError, match="there is no account"):
        call_command("take_mail", "nobody")


def test_a_maildir_is_emptied_of_what_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = mail()
    make_account(settings=VERP)
    for name in ("new", "cur", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
    (tmp_path / "box/new/1.host").write_bytes(dsn(row, to=returned_to(row)))
    (tmp_path / "box/cur/0.host:2,S").write_bytes(arf(row))
    call_command("take_mail", "mail", "--maildir", str(tmp_path / "box"))
    call_command("take_mail", "mail", "--maildir", str(tmp_path / "box"))
    assert capsys.readouterr().out == "1 mails, 1 new, 0 ignored\n0 mails, 0 new, 0 ignored\n"
    assert [path.name.partition(":")[2] for path in (tmp_path / "box/cur").iterdir()] == ["2,S", "2,S"]


def test_an_imap_mailbox_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    row = mail()
    monkeypatch.setenv("BOX", "pa55")
    box = Box(dsn(row, to=returned_to(row)), arf(row), b"\xff\x00 nothing")
    with serving(box):
        where = {"imap_host": "127.0.0.1", "imap_port": box.port, "imap_ssl": False}
        account = make_account(settings={**VERP, **where, "imap_username": "box", "imap_password_env": "BOX"})
        assert fetch_mail(account, now=NOW) == Fetched(3, 2, 1)
        assert box.seen == {0, 1, 2}
        assert fetch_mail(account, now=NOW) == Fetched(0, 0, 0)
    assert reached(row) == Delivery.Reached.COMPLAINED


def test_a_mail_that_was_not_taken_is_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    row = mail()
    box = Box(dsn(row, to=returned_to(row)))
    monkeypatch.setenv("BOX", "pa55")
    with serving(box):
        where = {"imap_host": "127.0.0.1", "imap_port": box.port, "imap_ssl": False}
        account = make_account(settings={**VERP, **where, "imap_username": "box", "imap_password_env": "BOX"})
        box.fail = "STORE"
        with pytest.raises(Exception, match="NO"):
            fetch_mail(account, now=NOW)
        box.fail = ""
        assert fetch_mail(account, now=NOW + timedelta(minutes=1)) == Fetched(1, 0, 0)
    assert Receipt.objects.count() == 1
