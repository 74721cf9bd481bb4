"""WeCom: the application and the group robot."""

from __future__ import annotations

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
    settings = {"url": provider.url, "key": "s3cret", "corp_id": key, "secret": "s3cret", "agent_id": 7}
    return Sender(f"wecom-{key}", "http", "", "", settings)


TOKEN = (200, {"errcode": 0, "access_token": "a", "expires_in": 7200})
OK = (200, {"errcode": 0, "msgid": "m"})


def test_a_token_is_kept_and_renewed_once(provider: Provider) -> None:
    sender = account(provider, "kept")
    provider.answers = [TOKEN, OK, (200, {"errcode": 42001}), (200, {**TOKEN[1], "access_token": "b"}), OK]
    assert [one[0] for one in send("wecom", sender, 2)] == ["sent", "sent"]
    assert [query.get("access_token") for _path, query, _body in provider.asked] == [None, "a", "a", None, "b"]
    assert provider.asked[1][2] == {"touser": "mei", "msgtype": "text", "agentid": 7, "text": {"content": "Hello"}}


def test_a_person_left_out_is_refused(provider: Provider) -> None:
    provider.answers = [TOKEN, (200, {"errcode": 0, "invaliduser": "mei"}), (200, {"errcode": 45009})]
    answers = send("wecom", account(provider, "left"), 2)
    assert answers == [("permanent", "invaliduser", None), ("transient", "errcode 45009", AT + timedelta(minutes=1))]


@pytest.mark.parametrize("bad", ["@all", "a|b", ""])
def test_an_address_is_one_person(bad: str) -> None:
    assert channels.get("wecom").address_of({"wecom_userid": bad}) == ""


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (200, {"errcode": 45009, "errmsg": "limit"}, ("transient", "errcode 45009", AT + timedelta(minutes=1))),
        (200, {"errcode": 40058, "errmsg": "parameter"}, ("permanent", "errcode 40058", None)),
    ],
)
def test_what_it_says_decides(provider: Provider, status: int, said: Any, expected: tuple[Any, ...]) -> None:
    provider.answers = [(status, said)]
    assert send("wecom_robot", account(provider, str(expected))) == [expected]


def test_a_request_read_and_not_answered_is_unknown(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.3)
    provider.answers = [(200, None)]
    assert send("wecom_robot", account(provider, "slow")) == [("unknown", "ReadTimeout", None)]
    assert len(provider.asked) == 1


def test_nobody_there_surely_precedes_acceptance(provider: Provider) -> None:
    provider.url = "http://127.0.0.1:1"
    answers = send("wecom_robot", account(provider, "none"), 2)
    assert answers == [("transient", "ConnectError", None), ("not_begun", "", None)]


def test_a_refused_account_spares_the_rest_and_tells_the_next_connect_once(provider: Provider) -> None:
    provider.answers = [(200, {"errcode": 93000}), (200, {"errcode": 0})]
    sender = account(provider, "refused")
    assert [one[0] for one in send("wecom_robot", sender, 2)] == ["permanent", "not_begun"]
    with pytest.raises(ChannelError, match="refuses") as raised:
        send("wecom_robot", sender)
    assert raised.value.permanent
    assert "s3cret" not in str(raised.value)
    assert send("wecom_robot", sender)[0][0] == "sent"


@pytest.mark.parametrize(
    ("key", "part", "most"),
    [("wecom", "text", 2048), ("wecom_robot", "markdown", 4096), ("dingtalk", "text", 20_000)],
)
def test_length_is_counted_in_bytes(key: str, part: str, most: int) -> None:
    def check(text: str) -> str:
        return channels.get(key).check(Outgoing("1", "mei", "", {part: text, "title": "T"}))

    assert check("x" * most) == ""
    assert check("长" * (most // 3 + 1)).startswith(f"{part} has ")


def test_no_key_is_logged(provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    provider.answers = [OK]
    assert send("wecom_robot", account(provider, "log"))[0][0] == "sent"
    assert provider.asked[0][1] == {"key": "s3cret"}
    assert "s3cret" not in caplog.text
