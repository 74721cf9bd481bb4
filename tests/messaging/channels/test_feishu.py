"""Feishu: signed in the body; what its numbers mean."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any

import pytest

from messaging.channels import Answer, Outcome, Sender
from tests.messaging.channels.gateway import Gateway, Said
from tests.messaging.channels.sending import AT, send

OK = Said(200, {"code": 0, "msg": "success"})
FOREIGN = Said(200, {"code": 19021, "msg": "sign match fail"})


def account(gateway: Gateway, key: str) -> Sender:
    return Sender(f"feishu-{key}", "http", "", "", {"url": gateway.url, "token": "t0ken", "secret": "s3cret"})


def test_the_signature_is_the_documented_one(gateway: Gateway) -> None:
    gateway.play = lambda asked: OK
    assert send("feishu", account(gateway, "sign"), "") == [Answer(Outcome.SENT, "code 0")]
    said = gateway.asked[0].json
    digest = hmac.new(said["timestamp"].encode() + b"\ns3cret", b"", hashlib.sha256).digest()
    assert gateway.asked[0].path == "/open-apis/bot/v2/hook/t0ken"
    assert said == {
        "timestamp": "1793613600",
        "sign": base64.b64encode(digest).decode(),
        "msg_type": "text",
        "content": {"text": "Hello"},
    }


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (
            400,
            {"code": 9499, "msg": "too many request"},
            Answer(Outcome.TRANSIENT, "code 9499", retry_at=AT + timedelta(minutes=1)),
        ),
        (
            200,
            {"code": 11232, "msg": "limit"},
            Answer(Outcome.TRANSIENT, "code 11232", retry_at=AT + timedelta(minutes=1)),
        ),
        (400, {"code": 9499, "msg": "Bad Request"}, Answer(Outcome.PERMANENT, "code 9499")),
        (200, {"StatusCode": 0}, Answer(Outcome.SENT, "code 0")),
    ],
)
def test_what_it_says_decides(gateway: Gateway, status: int, said: Any, expected: Answer) -> None:
    gateway.play = lambda asked: Said(status, said)
    assert send("feishu", account(gateway, "says"), "") == [expected]


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, ("x-ogw-ratelimit-reset", "52"), 52),
        (400, ("x-ogw-ratelimit-reset", "52"), 52),
        (429, ("Retry-After", "7"), 7),
        (429, ("x-ogw-ratelimit-reset", "soon"), 60),
        (400, ("x-ogw-ratelimit-reset", "999999999999"), 24 * 3600),
    ],
)
def test_the_platforms_limit_is_waited_for_as_it_says(
    gateway: Gateway, status: int, header: tuple[str, str], seconds: int
) -> None:
    said = {"code": 99991400, "msg": "request trigger frequency limit"}
    gateway.play = lambda asked: Said(status, said, (header,))
    (answer, rest) = send("feishu", account(gateway, "limit"), "", "")
    assert (answer.outcome, answer.retry_at) == (Outcome.TRANSIENT, AT + timedelta(seconds=seconds))
    assert (answer.slows, rest) == (True, Answer(Outcome.NOT_BEGUN))
