"""The records of a sender's domain, asked of a real name server on this machine in the wire format."""

from __future__ import annotations

from typing import Any

import pytest

from messaging import postmaster
from messaging.postmaster import Told, Unreachable, examine, look_up
from tests.messages import make_account
from tests.messaging.nameserver import NameServer, Zone, serving

resolver = pytest.importorskip("dns.resolver")
pytestmark = pytest.mark.django_db
SPF, KEY = '"v=spf1 include:_spf.mail.example ~all"', "MIGfMA0GCSq" + "A" * 300
GOOD: Zone = {
    ("example.com", "TXT"): ['"google-site-verification=x"', SPF],
    ("example.com", "MX"): ["10 mx.example.com."],
    ("s1._domainkey.example.com", "TXT"): [f'"v=DKIM1; k=rsa; p={KEY[:200]}" "{KEY[200:]}"'],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=quarantine; " "rua=mailto:d@example.com"'],
}


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Point the system's resolver at a name server of ours for one question of an account."""

    def told(zone: Zone, **faults: frozenset[str]) -> tuple[dict[str, Told], NameServer]:
        with serving(NameServer(zone, **faults)) as server:
            own = resolver.Resolver(configure=False)
            own.nameservers, own.port = ["127.0.0.1"], server.port
            own.timeout = 0.3
            monkeypatch.setattr(resolver, "default_resolver", own)
            monkeypatch.setattr(postmaster, "SECONDS", 0.7)
            account = make_account(sender="hello@example.com", settings={"dkim_selector": "s1"})
            found = {one.what: one for one in examine(account)}
            account.delete()
        return found, server

    return told


def with_(**changed: list[str]) -> dict[tuple[str, str], Any]:
    names = {"spf": ("example.com", "TXT"), "dkim": ("s1._domainkey.example.com", "TXT"),
             "dmarc": ("_dmarc.example.com", "TXT"), "mx": ("example.com", "MX")}  # fmt: skip
    return {**GOOD, **{names[name]: records for name, records in changed.items()}}


def without(*gone: tuple[str, str]) -> dict[tuple[str, str], Any]:
    return {key: records for key, records in GOOD.items() if key not in gone}


def test_a_domain_in_order_with_records_in_several_strings(ask: Any) -> None:
    found, server = ask(GOOD)
    assert {what: one.level for what, one in found.items()} == dict.fromkeys(["SPF", "DKIM", "DMARC", "MX"], "good")
    assert found["SPF"].said == "v=spf1 include:_spf.mail.example ~all"
    assert found["DMARC"].said == "v=DMARC1; p=quarantine; rua=mailto:d@example.com"
    assert found["DKIM"].said == f"v=DKIM1; k=rsa; p={KEY}"[:300]
    assert [(name, kind) for name, kind, _over in server.asked] == [
        ("example.com", "TXT"), ("s1._domainkey.example.com", "TXT"), ("_dmarc.example.com", "TXT"), ("example.com", "MX"),
    ]  # fmt: skip


def test_a_name_that_is_not_there_and_one_without_the_record_are_both_missing(ask: Any) -> None:
    found, _server = ask({})
    assert {what: one.level for what, one in found.items()} == {
        "SPF": "bad",
        "DKIM": "bad",
        "DMARC": "bad",
        "MX": "weak",
    }
    found, _server = ask(without(("example.com", "TXT")))
    assert (found["SPF"].level, found["MX"].level) == ("bad", "good")
    assert "v=spf1" in found["SPF"].mend


def test_a_server_that_does_not_answer_is_no_fault_of_the_domain(ask: Any) -> None:
    found, server = ask(GOOD, silent=frozenset({"_dmarc.example.com"}))
    assert (found["DMARC"].level, found["DMARC"].said) == ("unseen", "")
    assert "LifetimeTimeout" in found["DMARC"].mend
    assert found["SPF"].level == found["MX"].level == "good"
    assert ("_dmarc.example.com", "TXT", "udp") in server.asked


def test_a_server_that_fails_is_no_fault_of_the_domain(ask: Any) -> None:
    found, _server = ask(GOOD, broken=frozenset({"s1._domainkey.example.com"}))
    assert found["DKIM"].level == "unseen"
    assert found["DMARC"].level == "good"


def test_a_truncated_answer_is_asked_for_again_over_tcp(ask: Any) -> None:
    found, server = ask(GOOD, cut=frozenset({"s1._domainkey.example.com"}))
    assert found["DKIM"].level == "good"
    assert [over for name, _kind, over in server.asked if name.startswith("s1.")] == ["udp", "tcp"]


@pytest.mark.parametrize(
    ("changed", "what", "level"),
    [
        ({"dmarc": ['"v=DMARC1; p=none; rua=mailto:d@example.com"']}, "DMARC", "weak"),
        ({"dmarc": ['"v=DMARC1; p=reject"']}, "DMARC", "good"),
        ({"dmarc": ['"v=DMARC1; p=reject"', '"v=DMARC1; p=none"']}, "DMARC", "bad"),
        ({"dmarc": ['"v=DMARC1; rua=mailto:d@example.com"']}, "DMARC", "bad"),
        ({"spf": [SPF, '"v=spf1 -all"']}, "SPF", "bad"),
        ({"spf": ['"v=spf1 +all"']}, "SPF", "bad"),
        ({"spf": ['"v=spf1 include:a.example ?all"']}, "SPF", "weak"),
        ({"spf": ['"V=SPF1 redirect=_spf.example.net"']}, "SPF", "good"),
        ({"dkim": ['"v=DKIM1; p="']}, "DKIM", "bad"),
    ],
)  # fmt: skip
def test_what_is_published_is_judged(ask: Any, changed: Any, what: str, level: str) -> None:
    found, _server = ask(with_(**changed))
    assert found[what].level == level


def test_without_any_server_nobody_could_look(monkeypatch: pytest.MonkeyPatch) -> None:
    own = resolver.Resolver(configure=False)
    own.nameservers = []
    monkeypatch.setattr(resolver, "default_resolver", own)
    with pytest.raises(Unreachable):
        look_up("example.com", "TXT")
