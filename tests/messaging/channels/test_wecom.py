"""WeCom: the application and the group robot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from messaging.channels import Answer, Outcome, Outgoing, Sender, channels
from tests.messaging.channels.gateway import Gateway, Said, script
from tests.messaging.channels.sending import AT, send

TOKEN = {"errcode": 0, "access_token": "a", "expires_in": 7200}
OK = Said(200, {"errcode": 0, "msgid": "m"})
LIMIT = Answer(Outcome.TRANSIENT, "errcode 45009", retry_at=AT + timedelta(minutes=1))


def account(gateway: Gateway, key: str) -> Sender:
    settings = {"url": gateway.url, "key": "s3cret", "corp_id": key, "secret": "s3cret", "agent_id": 7}
    return Sender(f"wecom-{key}", "http", "", "", settings)


def test_a_token_is_kept_and_renewed_once(gateway: Gateway) -> None:
    stale, renewed = Said(200, {"errcode": 42001}), Said(200, {**TOKEN, "access_token": "b"})
    gateway.play = script(Said(200, TOKEN), OK, stale, renewed, OK)
    answers = send("wecom", account(gateway, "kept"), "mei", "mei")
    assert answers == [Answer(Outcome.SENT, "errcode 0", "m")] * 2
    assert [asked.query.get("access_token") for asked in gateway.asked] == [None, "a", "a", None, "b"]
    assert gateway.asked[1].json == {"touser": "mei", "msgtype": "text", "agentid": 7, "text": {"content": "Hello"}}


def test_a_token_that_is_refused_in_the_middle_costs_no_message(gateway: Gateway) -> None:
    gateway.play = script(Said(200, TOKEN), OK, Said(200, {"errcode": 42001}), Said(200, {"errcode": 40001}))
    assert send("wecom", account(gateway, "lost"), "mei", "mei", "mei") == [
        Answer(Outcome.SENT, "errcode 0", "m"),
        Answer(Outcome.TRANSIENT, "gettoken: errcode 40001"),
        Answer(Outcome.NOT_BEGUN),
    ]


def test_a_person_left_out_is_refused(gateway: Gateway) -> None:
    left_out = Said(200, {"errcode": 0, "invaliduser": "mei"})
    gateway.play = script(Said(200, TOKEN), left_out, Said(200, {"errcode": 45009}))
    assert send("wecom", account(gateway, "left"), "mei", "bo") == [Answer(Outcome.PERMANENT, "invaliduser"), LIMIT]


@pytest.mark.parametrize("bad", ["@all", "a|b", ""])
def test_an_address_is_one_person(bad: str) -> None:
    assert channels.get("wecom").address_of({"wecom_userid": bad}) == ""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"errcode": 45009, "errmsg": "limit"}, LIMIT),
        ({"errcode": 40058, "errmsg": "parameter"}, Answer(Outcome.PERMANENT, "errcode 40058")),
    ],
)
def test_what_it_says_decides(gateway: Gateway, said: Any, expected: Answer) -> None:
    gateway.play = lambda asked: Said(200, said)
    assert send("wecom_robot", account(gateway, "says"), "") == [expected]


@pytest.mark.parametrize(
    ("key", "part", "most"),
    [("wecom", "text", 2048), ("wecom_robot", "markdown", 4096), ("dingtalk", "text", 20_000)],
)
def test_length_is_counted_in_bytes(key: str, part: str, most: int) -> None:
    def check(text: str) -> str:
        return channels.get(key).check(Outgoing("1", "mei", "", {part: text, "title": "T"}))

    assert check("x" * most) == ""
    assert check("长" * (most // 3 + 1)).startswith(f"{part} has ")
