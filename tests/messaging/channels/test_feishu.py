"""Feishu: signed in the body, throttled, refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common import http
from messaging.channels import ChannelError, Outgoing, Sender, channels
from tests.messaging.channels.conftest import Provider

AT = datetime(2026, 11, 2, 10, tzinfo=UTC)


def send(key: str, sender: Sender, count: int = 1, **parts: str) -> list[tuple[Any, ...]]:
    batch = [Outgoing(str(n), "mei", "", parts or {"text": "Hello"}, at=AT) for n in range(count)]
    with channels.get(key).connect(sender) as line:
        return [(one.outcome.value, one.code, one.retry_at) for one in line.send(batch)]


def account(provider: Provider, key: str) -> Sender:
    return Sender(f"feishu-{key}", "http", "", "", {"url": provider.url, "token": "t0ken", "secret": "s3cret"})


def test_the_signature_is_the_documented_one(provider: Provider) -> None:
    provider.answers = [(200, {"code": 0, "msg": "success"})]
    assert send("feishu", account(provider, "sign"))[0][0] == "sent"
    path, _query, body = provider.asked[0]
    digest = hmac.new(body["timestamp"].encode() + b"\ns3cret", b"", hashlib.sha256).digest()
    assert (path, body["timestamp"]) == ("/open-apis/bot/v2/hook/t0ken", "1793613600")
    assert body["sign"] == base64.b64encode(digest).decode()
    assert (body["msg_type"], body["content"]) == ("text", {"text": "Hello"})


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (400, {"code": 9499, "msg": "too many request"}, ("transient", "code 9499", AT + timedelta(minutes=1))),
        (200, {"code": 11232, "msg": "limit"}, ("transient", "code 11232", AT + timedelta(minutes=1))),
        (400, {"code": 9499, "msg": "Bad Request"}, ("permanent", "code 9499", None)),
    ],
)
def test_what_it_says_decides(provider: Provider, status: int, said: Any, expected: tuple[Any, ...]) -> None:
    provider.answers = [(status, said)]
    assert send("feishu", account(provider, str(expected))) == [expected]


def test_a_request_read_and_not_answered_is_unknown(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.3)
    provider.answers = [(200, None)]
    assert send("feishu", account(provider, "slow")) == [("unknown", "ReadTimeout", None)]
    assert len(provider.asked) == 1


def test_nobody_there_surely_precedes_acceptance(provider: Provider) -> None:
    provider.url = "http://127.0.0.1:1"
    answers = send("feishu", account(provider, "none"), 2)
    assert answers == [("transient", "ConnectError", None), ("not_begun", "", None)]


def test_a_refused_account_spares_the_rest_and_tells_the_next_connect_once(provider: Provider) -> None:
    provider.answers = [(200, {"code": 19021, "msg": "sign match fail"}), (200, {"StatusCode": 0})]
    sender = account(provider, "refused")
    assert [one[0] for one in send("feishu", sender, 2)] == ["permanent", "not_begun"]
    with pytest.raises(ChannelError, match="refuses") as raised:
        send("feishu", sender)
    assert raised.value.permanent
    assert "s3cret" not in str(raised.value)
    assert send("feishu", sender)[0][0] == "sent"
