"""Webhook: signed as Standard Webhooks, answered by its receiver, and never led elsewhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from messaging.channels import Answer, ChannelError, Outcome, Outgoing, Sender, channels
from tests.messaging.channels import sending
from tests.messaging.channels.gateway import Asked, Gateway, Said
from tests.messaging.channels.sending import AT

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"n" * 32).decode()
NO_JSON = "the body is no JSON, or a name in it comes twice"
BODY = '{"person": "梅", "points": 7}'


def is_signed(asked: Asked, secret: str = SECRET) -> bool:
    """As the specification has it, over the bytes that came."""
    said = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    mac = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), said, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}" in asked.headers["webhook-signature"].split(" ")


def receiver(asked: Asked) -> Said:
    return Said(204 if is_signed(asked) else 401)


@pytest.fixture
def provider(gateway: Gateway) -> Gateway:
    gateway.play = receiver
    return gateway


def account(provider: Gateway, key: str, **more: Any) -> Sender:
    return Sender(f"webhook-{key}", "http", "", "", {"url": f"{provider.url}/in?k=k3y", "secret": SECRET, **more})


def send(sender: Sender, count: int = 1) -> list[Answer]:
    return sending.send("webhook", sender, *[""] * count, body=BODY)


def test_a_body_arrives_as_it_was_written_and_signed(provider: Gateway) -> None:
    assert send(account(provider, "whole"), 2) == [Answer(Outcome.SENT, "HTTP 204")] * 2
    first, second = provider.asked
    assert (first.method, first.target, first.body) == ("POST", "/in?k=k3y", BODY.encode())
    assert first.headers["content-type"] == "application/json"
    assert (first.headers["webhook-id"], second.headers["webhook-id"]) == ("ref-0", "ref-1")
    assert first.headers["webhook-timestamp"] == str(int(AT.timestamp()))


def test_a_re_send_has_the_same_identifier(provider: Gateway) -> None:
    send(account(provider, "again"))
    send(account(provider, "again"))
    assert [asked.headers["webhook-id"] for asked in provider.asked] == ["ref-0", "ref-0"]


def test_two_secrets_sign_while_one_replaces_the_other(provider: Gateway) -> None:
    assert send(account(provider, "turn", secret=f"{OTHER} {SECRET}"))[0].outcome is Outcome.SENT
    assert is_signed(provider.asked[0], OTHER)
    assert len(provider.asked[0].headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Said(200, b"<html>"), Answer(Outcome.SENT, "HTTP 200")),
        (Said(422), Answer(Outcome.PERMANENT, "HTTP 422")),
        (Said(408), Answer(Outcome.UNKNOWN, "HTTP 408")),
        (Said(500), Answer(Outcome.UNKNOWN, "HTTP 500")),
        (Said(502), Answer(Outcome.UNKNOWN, "HTTP 502")),
    ],
)
def test_what_concerns_one_message_lets_the_next_go(provider: Gateway, said: Said, expected: Answer) -> None:
    answers = iter([said, Said(200)])
    provider.play = lambda asked: next(answers)
    assert send(account(provider, "one"), 2) == [expected, Answer(Outcome.SENT, "HTTP 200")]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("120", AT + timedelta(minutes=2)),
        ("Mon, 02 Nov 2026 10:05:00 GMT", AT + timedelta(minutes=5)),
        ("999999999999", AT + timedelta(days=1)),
        ("Mon, 02 Nov 2026 09:00:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_throttle_says_when(provider: Gateway, status: int, after: str, expected: datetime | None) -> None:
    provider.play = lambda asked: Said(status, None, (("Retry-After", after),))
    assert send(account(provider, "busy"), 2) == [
        Answer(Outcome.TRANSIENT, f"HTTP {status}", retry_at=expected),
        Answer(Outcome.NOT_BEGUN),
    ]
    assert len(provider.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_neither_followed_nor_success(provider: Gateway, status: int) -> None:
    provider.play = lambda asked: Said(status, None, (("Location", f"{provider.url}/elsewhere"),))
    assert send(account(provider, "led")) == [Answer(Outcome.UNKNOWN, f"HTTP {status}")]
    assert [asked.target for asked in provider.asked] == ["/in?k=k3y"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://169.254.169.254/latest/meta-data", "file:///x"])
def test_an_inner_address_is_refused_and_nothing_leaves(provider: Gateway, settings: Any, url: str) -> None:
    settings.OUTBOUND_PRIVATE = []
    answers = send(account(provider, "inner", url=url.format(port=provider.server_port)), 2)
    assert [one.outcome for one in answers] == [Outcome.TRANSIENT, Outcome.NOT_BEGUN]
    assert answers[0].code.startswith("refused: ")
    assert provider.asked == []


@pytest.mark.parametrize("secret", ["", "plain", "whsec_", "whsec_***"])
def test_a_secret_must_be_one_and_is_never_told(provider: Gateway, secret: str) -> None:
    with pytest.raises(ChannelError, match="the setting 'secret' is") as raised:
        send(account(provider, "secret", secret=secret))
    assert raised.value.permanent
    assert "***" not in str(raised.value)
    assert provider.asked == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (BODY, ""),
        ("[]", ""),
        ("", NO_JSON),
        ('{"name": "a"b"}', NO_JSON),
        ('{"n": NaN}', NO_JSON),
        ('{"a": {"n": 1, "n": 2}}', NO_JSON),
        ('{"a": {"n": 1}, "n": 2}', ""),
        ("[" * 100_000, NO_JSON),
        (json.dumps("x" * 262_142), ""),
        (json.dumps("x" * 262_143), "the body has 262145 bytes, at most 262144"),
    ],
)
def test_a_body_is_json_of_bounded_size(body: str, expected: str) -> None:
    assert channels.get("webhook").check(Outgoing("1", "", "", {"body": body})) == expected
