"""DingTalk: signed; what its numbers and texts mean."""

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

OK = Said(200, {"errcode": 0, "errmsg": "ok"})
FOREIGN = Said(200, {"errcode": 310000, "errmsg": "sign not match"})


def account(gateway: Gateway, key: str) -> Sender:
    return Sender(f"dingtalk-{key}", "http", "", "", {"url": gateway.url, "token": "t0ken", "secret": "s3cret"})


def test_the_signature_is_the_documented_one(gateway: Gateway) -> None:
    gateway.play = lambda asked: OK
    assert send("dingtalk", account(gateway, "sign"), "", title="T", markdown="**x**") == [
        Answer(Outcome.SENT, "errcode 0")
    ]
    asked = gateway.asked[0]
    digest = hmac.new(b"s3cret", asked.query["timestamp"].encode() + b"\ns3cret", hashlib.sha256).digest()
    assert asked.path == "/robot/send"
    assert asked.query == {
        "access_token": "t0ken",
        "timestamp": "1793613600000",
        "sign": base64.b64encode(digest).decode(),
    }
    assert asked.json == {"msgtype": "markdown", "markdown": {"title": "T", "text": "**x**"}}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"errcode": 130101, "errmsg": "send too fast"},
            Answer(Outcome.TRANSIENT, "errcode 130101", retry_at=AT + timedelta(minutes=10)),
        ),
        (
            {"errcode": 90030, "errmsg": "webhook over limit"},
            Answer(Outcome.TRANSIENT, "errcode 90030", retry_at=AT + timedelta(minutes=10)),
        ),
        ({"errcode": 310000, "errmsg": "keywords not in content"}, Answer(Outcome.PERMANENT, "errcode 310000")),
        ({"errcode": 310000, "errmsg": "sign not match"}, Answer(Outcome.TRANSIENT, "errcode 310000")),
        ({"errcode": -1, "errmsg": "busy"}, Answer(Outcome.UNKNOWN, "errcode -1")),
    ],
)
def test_what_it_says_decides(gateway: Gateway, said: Any, expected: Answer) -> None:
    gateway.play = lambda asked: Said(200, said)
    assert send("dingtalk", account(gateway, "says"), "") == [expected]
