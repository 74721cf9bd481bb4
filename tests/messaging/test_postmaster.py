"""What name servers say about a sender, judged; and a test message over an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.core import mail

from common.params import Invalid
from messaging.channels import ChannelError
from messaging.models import Delivery
from messaging.postmaster import Lookup, Unreachable, examine, send_hello
from tests.harness import free_port
from tests.messages import make_account

pytestmark = pytest.mark.django_db
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}


def names(**records: Sequence[str]) -> Lookup:
    """A name server that knows these; the names are written with "__" for dots."""
    known = {name.replace("__", "."): list(texts) for name, texts in records.items()}
    return lambda name, kind: known.get(f"{kind}.{name}", [])


GOOD = {
    "TXT.example.com": ["google-site-verification=x", "v=spf1 include:_spf.mail.example ~all"],
    "TXT.s1._domainkey.example.com": ["v=DKIM1; k=rsa; p=MIGf"],
    "TXT._dmarc.example.com": ["v=DMARC1; p=quarantine; rua=mailto:d@example.com"],
    "MX.example.com": ["10 mx.example.com."],
}


def levels(records: dict[str, Any], **settings: Any) -> dict[str, str]:
    account = make_account(settings={"dkim_selector": "s1", **settings})
    told = examine(account, lookup=lambda name, kind: records.get(f"{kind}.{name}", []))
    account.delete()
    return {one.what: one.level for one in told}


def test_a_sender_that_is_in_order() -> None:
    assert levels(GOOD) == {"SPF": "good", "DKIM": "good", "DMARC": "good", "MX": "good"}


def test_a_sender_that_published_nothing() -> None:
    assert levels({}) == {"SPF": "bad", "DKIM": "bad", "DMARC": "bad", "MX": "weak"}


@pytest.mark.parametrize(
    ("what", "name", "texts", "level"),
    [
        ("SPF", "TXT.example.com", ["v=spf1 +all"], "bad"),
        ("SPF", "TXT.example.com", ["v=spf1 ?all"], "weak"),
        ("SPF", "TXT.example.com", ["v=spf1 include:x"], "weak"),
        ("SPF", "TXT.example.com", ["v=spf1 -all", "v=spf1 ~all"], "bad"),
        ("SPF", "TXT.example.com", ["v=spf10 -all"], "bad"),
        ("SPF", "TXT.example.com", ["v=spf1 redirect=_spf.example.com"], "good"),
        ("DKIM", "TXT.s1._domainkey.example.com", ["v=DKIM1; p="], "bad"),
        ("DKIM", "TXT.s1._domainkey.example.com", ["k=rsa; p=AAAA"], "good"),
        ("DMARC", "TXT._dmarc.example.com", ["v=DMARC1; p=none"], "weak"),
        ("DMARC", "TXT._dmarc.example.com", ["v=DMARC1"], "bad"),
        ("DMARC", "TXT._dmarc.example.com", ["v=DMARC1; p=reject", "v=DMARC1; p=none"], "bad"),
        ("DMARC", "TXT._dmarc.example.com", ["v=DMARC1; p=reject"], "good"),
    ],
)
def test_each_record_is_judged(what: str, name: str, texts: list[str], level: str) -> None:
    assert levels({**GOOD, name: texts})[what] == level


def test_the_return_path_has_its_own_domain() -> None:
    records = {**GOOD, "TXT.back.example": ["v=spf1 -all"], "MX.back.example": ["1 mx."]}
    del records["TXT.example.com"]
    found = levels(records, envelope_from="bounce+{token}@back.example")
    assert found == {"SPF": "good", "DKIM": "good", "DMARC": "good", "MX": "good"}


def test_where_nobody_can_look_nothing_is_said_against_the_domain() -> None:
    def dead(name: str, kind: str) -> Sequence[str]:
        raise Unreachable("LifetimeTimeout")

    told = examine(make_account(settings={"dkim_selector": "s1"}), lookup=dead)
    assert {one.level for one in told} == {"unseen"}
    assert {one.mend for one in told} == {"nobody could look: LifetimeTimeout"}


def test_without_a_selector_dkim_is_not_guessed() -> None:
    told = {one.what: one for one in examine(make_account(), lookup=names())}
    assert told["DKIM"].level == "unseen"
    assert "dkim_selector" in told["DKIM"].mend


def test_a_test_message_stands_outside_the_ledger() -> None:
    account = make_account(transport="backend", settings=LOCMEM)
    assert send_hello(account, to="me@example.com") == ""
    assert mail.outbox[0].to == ["me@example.com"]
    assert not Delivery.objects.exists()
    with pytest.raises(Invalid):
        send_hello(account, to="nobody")
    with pytest.raises(ChannelError):
        send_hello(make_account("dead", port=free_port(), is_default=False), to="me@example.com")
