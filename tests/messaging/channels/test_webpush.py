"""Web push, against a push service that proves VAPID and a browser that decrypts what it gets."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common import http
from messaging.channels import Answer, ChannelError, Device, Outcome, Outgoing, Sender, _http, channels
from messaging.channels._crypto import b64, encrypted, point_of, unb64, vapid_key
from messaging.channels.webpush import public_key
from tests.messaging.channels.gateway import DROP, HOLD, Asked, Gateway, Said
from tests.messaging.channels.sending import AT, push

OURS = b64((7).to_bytes(32, "big"))
SUBJECT = "mailto:push@shop.example"


class Browser:
    """A subscription: it can read what was encrypted for it (RFC 8291 section 3.4, the receiver's side)."""

    def __init__(self) -> None:
        self.key, self.auth = ec.generate_private_key(ec.SECP256R1()), b"sixteen octets!!"

    def device(self, gateway: Gateway, pk: int = 1, path: str = "sub") -> Device:
        return Device(pk, f"{gateway.url}/push/{path}", {"p256dh": b64(point_of(self.key)), "auth": b64(self.auth)})

    def read(self, body: bytes) -> bytes:
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        theirs, sealed = body[21 : 21 + length], body[21 + length :]
        assert (size, length) == (4096, 65)
        assert len(body) <= 4096, "a push service takes no more"
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))
        info = b"WebPush: info\0" + point_of(self.key) + theirs
        ikm = HKDF(hashes.SHA256(), 32, self.auth, info).derive(shared)
        key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(ikm)
        nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(ikm)
        plain = AESGCM(key).decrypt(nonce, sealed, None)
        assert plain.endswith(b"\x02"), "the last record"
        return plain[:-1]


def proven(asked: Asked) -> bool:
    """VAPID as RFC 8292 has it: signed by the key that is named, for this service, not for longer than a day."""
    scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
    fields = dict(one.strip().split("=", 1) for one in rest.split(","))
    said, _, signature = fields["t"].rpartition(".")
    header, claims = (json.loads(unb64(part)) for part in said.split("."))
    raw = unb64(signature)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(fields["k"]))
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(der, said.encode(), ec.ECDSA(hashes.SHA256()))
    assert (scheme, header, len(raw)) == ("vapid", {"typ": "JWT", "alg": "ES256"}, 64)
    assert claims["aud"] == f"http://{asked.headers['host']}"
    assert 0 < claims["exp"] - AT.timestamp() <= 24 * 3600
    return bool(claims["sub"] == SUBJECT and unb64(fields["k"]) == point_of(vapid_key(OURS)))


def service(asked: Asked) -> Said:
    if not proven(asked):
        return Said(403, b"the VAPID credentials in the authorization header do not correspond")
    if asked.path.endswith("/gone"):
        return Said(410)
    assert (asked.headers["content-encoding"], asked.headers["ttl"]) == ("aes128gcm", "3600")
    return Said(201, b"", (("Location", "https://push.example/m/m-1"),))


@pytest.fixture
def provider(gateway: Gateway) -> Gateway:
    gateway.play = service
    return gateway


def account(key: str, **settings: Any) -> Sender:
    return Sender(f"vapid-{key}", "vapid", "", "", {"private_key": OURS, "subject": SUBJECT, **settings})


def test_encryption_is_that_of_the_published_example() -> None:
    """RFC 8291, appendix A."""
    body = encrypted(
        b"When I grow up, I want to be a watermelon",
        p256dh="BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        auth="BTBZMqHH6r4Tts7J_aSIgg",
        key=vapid_key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        salt=unb64("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert b64(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_a_browser_reads_what_it_gets(provider: Gateway) -> None:
    browser = Browser()
    assert push("webpush", account("whole"), browser.device(provider)) == [Answer(Outcome.SENT, "HTTP 201", "m-1")]
    assert json.loads(browser.read(provider.asked[0].body)) == {
        "title": "Hello", "body": "梅 & co", "url": "https://shop.example/c/1", "delivery": "ref-0",
    }  # fmt: skip


def test_no_two_messages_look_alike(provider: Gateway) -> None:
    browser = Browser()
    push("webpush", account("twice"), browser.device(provider), browser.device(provider))
    first, second = (asked.body for asked in provider.asked)
    assert first[:86] != second[:86], "salt and key are fresh"


def test_the_longest_message_fits(provider: Gateway) -> None:
    browser, channel = Browser(), channels.get("webpush")
    longest = {"title": "T", "body": "长" * 1266, "url": ""}
    assert channel.check(Outgoing("r", "", "", longest)) == ""
    assert push("webpush", account("long"), browser.device(provider), **longest)[0].outcome is Outcome.SENT
    assert json.loads(browser.read(provider.asked[0].body))["body"] == longest["body"]
    too_long = {"title": "T", "body": "长" * 1267}
    assert channel.check(Outgoing("r", "", "", too_long)) == "the message has 3802 bytes, at most 3800"
    assert channel.check(Outgoing("r", "", "", {"url": "x"})) == "neither title nor body"


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_ended_is_named_and_the_others_are_told(provider: Gateway, status: int) -> None:
    browser = Browser()
    provider.play = lambda asked: Said(status) if asked.path.endswith("/gone") else service(asked)
    both = (browser.device(provider, 4, "gone"), browser.device(provider, 5))
    assert push("webpush", account("gone"), both, both[:1]) == [
        Answer(Outcome.SENT, "HTTP 201 (1 of 2)", "m-1", gone=(4,)),
        Answer(Outcome.PERMANENT, f"HTTP {status}", gone=(4,)),
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            Said(429, None, (("Retry-After", "60"),)),
            Answer(Outcome.TRANSIENT, "HTTP 429", retry_at=AT + timedelta(minutes=1)),
        ),
        (Said(503), Answer(Outcome.TRANSIENT, "HTTP 503")),
        (Said(403), Answer(Outcome.TRANSIENT, "HTTP 403")),
        (Said(401), Answer(Outcome.TRANSIENT, "HTTP 401")),
        (Said(413), Answer(Outcome.PERMANENT, "HTTP 413")),
        (Said(500), Answer(Outcome.UNKNOWN, "HTTP 500")),
        (Said(302, None, (("Location", "http://127.0.0.1/"),)), Answer(Outcome.UNKNOWN, "HTTP 302")),
        (DROP, Answer(Outcome.UNKNOWN, "RemoteProtocolError")),
    ],
)
def test_what_one_service_says_concerns_no_other(provider: Gateway, said: Said, expected: Answer) -> None:
    browser, sender = Browser(), account("one")
    provider.play = lambda asked: said if asked.path.endswith("/odd") else service(asked)
    odd, good = browser.device(provider, 1, "odd"), browser.device(provider, 2)
    assert push("webpush", sender, odd, good) == [expected, Answer(Outcome.SENT, "HTTP 201", "m-1")]
    assert push("webpush", sender, good)[0].outcome is Outcome.SENT, "the account is not refused"


def test_silence_is_unknown_and_inner_addresses_are_refused(
    provider: Gateway, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "SECONDS", 0.3)
    browser = Browser()
    provider.play = lambda asked: HOLD
    assert push("webpush", account("slow"), browser.device(provider)) == [Answer(Outcome.UNKNOWN, http.TOO_LONG)]
    settings.OUTBOUND_PRIVATE = []
    inner = push("webpush", account("inner"), browser.device(provider))[0]
    assert inner.outcome is Outcome.TRANSIENT
    assert inner.code.startswith("refused: ")
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    "keys", [{}, {"p256dh": "x", "auth": "y"}, {"p256dh": b64(b"\x04" * 65), "auth": b64(b"a" * 16)}]
)
def test_keys_that_are_none_end_the_subscription(provider: Gateway, keys: dict[str, str]) -> None:
    device = Device(9, f"{provider.url}/push/sub", keys)
    assert push("webpush", account("keys"), device) == [
        Answer(Outcome.PERMANENT, "the subscription has no keys", gone=(9,))
    ]
    assert provider.asked == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"private_key": ""}, "'private_key' is empty"),
        ({"private_key": "short"}, "no VAPID key"),
        ({"subject": ""}, "'subject' is empty"),
        ({"subject": "shop"}, "neither mailto: nor https:"),
    ],
)
def test_settings_are_told_before_anything_is_sent(provider: Gateway, given: dict[str, str], expected: str) -> None:
    with pytest.raises(ChannelError, match=expected) as raised:
        push("webpush", account("missing", **given), Browser().device(provider))
    assert raised.value.permanent
    assert provider.asked == []


def test_the_public_key_is_what_a_browser_subscribes_with() -> None:
    found = base64.urlsafe_b64decode(public_key(account("public")) + "=")
    assert (len(found), found[0]) == (65, 4)
    assert public_key(account("none", private_key="")) == ""
