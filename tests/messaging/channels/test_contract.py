"""What every channel that calls a provider over HTTP promises, whoever the provider is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from common import http
from messaging.channels import Answer, ChannelError, Outcome, Outgoing, Sender, _http, channels
from tests.messaging.channels import test_aliyun, test_dingtalk, test_feishu, test_twilio, test_webhook, test_wecom
from tests.messaging.channels.gateway import DROP, HOLD, Asked, Gateway, Play, Said
from tests.messaging.channels.sending import send


@dataclass(frozen=True)
class Case:
    """One way out: how its account is set, a person and a message, its provider's good answer, and the answer to a
    wrong secret with the code we keep of it. `secrets` must never be in a log."""

    channel: str
    transport: str
    settings: Mapping[str, Any]
    good: Play
    refusal: Said
    code: str
    secrets: tuple[str, ...]
    to: str = ""
    parts: Mapping[str, str] = field(default_factory=lambda: {"text": "Hello 梅"})
    sender: str = ""

    def account(self, url: str, key: str) -> Sender:
        settings = {"url": url, **self.settings}
        return Sender(f"{self.channel}-{self.transport}-{key}", self.transport, self.sender, "", settings)

    def send(self, url: str, key: str, count: int = 1) -> list[Answer]:
        return send(self.channel, self.account(url, key), *[self.to] * count, **self.parts)


def with_token(answer: Said) -> Play:
    """WeCom: a token first, then the answer."""
    return lambda asked: Said(200, test_wecom.TOKEN) if asked.path.endswith("gettoken") else answer


CASES = [
    Case(
        "sms", "twilio", {"account_sid": test_twilio.SID, "auth_token": test_twilio.TOKEN}, test_twilio.twilio,
        test_twilio.error(401, 20003), "twilio 20003", (test_twilio.TOKEN, test_twilio.GOOD), to=test_twilio.GOOD,
        sender=test_twilio.SHOP,
    ),
    Case(
        "sms", "aliyun",
        {"access_key_id": test_aliyun.KEY, "access_key_secret": test_aliyun.SECRET, "sign_name": "小店"},
        test_aliyun.aliyun, test_aliyun.said("SignatureDoesNotMatch", 400), "SignatureDoesNotMatch",
        (test_aliyun.SECRET, "13800138000", "SMS_1"), to=test_aliyun.GOOD, parts={"template": "SMS_1"},
    ),
    Case(
        "webhook", "http", {"secret": test_webhook.SECRET}, test_webhook.receiver, Said(401), "HTTP 401",
        (test_webhook.SECRET.removeprefix("whsec_"), "h00k", "梅"), parts={"body": test_webhook.BODY},
    ),
    Case(
        "wecom_robot", "http", {"key": "s3cret"}, lambda asked: test_wecom.OK, Said(200, {"errcode": 93000}),
        "errcode 93000", ("s3cret", "梅"),
    ),
    Case(
        "wecom", "http", {"corp_id": "contract", "secret": "s3cret", "agent_id": 7}, with_token(test_wecom.OK),
        Said(200, {"errcode": 60011}), "errcode 60011", ("s3cret", "access_token", "梅"), to="mei",
    ),
    Case(
        "dingtalk", "http", {"token": "t0ken", "secret": "s3cret"}, lambda asked: test_dingtalk.OK,
        test_dingtalk.FOREIGN, "errcode 310000", ("t0ken", "s3cret", "梅"),
    ),
    Case(
        "feishu", "http", {"token": "t0ken", "secret": "s3cret"}, lambda asked: test_feishu.OK, test_feishu.FOREIGN,
        "code 19021", ("t0ken", "s3cret", "梅"),
    ),
]  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.channel}-{case.transport}")


def url_of(gateway: Gateway) -> str:
    return f"{gateway.url}/h00k"


def answering(case: Case, answer: Said) -> Play:
    """The provider's answer to a message; tokens are still given."""
    play: Callable[[Asked], Said] = with_token(answer) if case.channel == "wecom" else lambda asked: answer
    return play


def messages(gateway: Gateway) -> int:
    """How many requests there were, but for tokens."""
    return sum(not asked.path.endswith("gettoken") for asked in gateway.asked)


@every_case
def test_a_message_is_accepted_and_its_account_is_in_no_log(
    case: Case, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="httpx")  # as if nobody had quietened it
    gateway.play = case.good
    url = url_of(gateway) if case.channel == "webhook" else gateway.url
    assert [one.outcome for one in case.send(url, "log")] == [Outcome.SENT]
    lines = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert len(lines) == len(gateway.asked), "httpx has told of each request"
    assert all("http://127.0.0.1/…" in line for line in lines)
    for secret in case.secrets:
        assert secret not in caplog.text


@every_case
@pytest.mark.parametrize(("answer", "code"), [(DROP, "RemoteProtocolError"), (HOLD, http.TOO_LONG)])
def test_a_request_read_and_not_answered_is_unknown(
    case: Case, answer: Said, code: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "SECONDS", 0.3)
    gateway.play = answering(case, answer)
    assert case.send(gateway.url, "silent") == [Answer(Outcome.UNKNOWN, code)]
    assert messages(gateway) == 1, "nothing is sent twice"


@every_case
@pytest.mark.parametrize("status", [200, 302, 500, 502, 504])
def test_a_page_or_a_redirect_is_no_success(case: Case, status: int, gateway: Gateway) -> None:
    gateway.play = answering(case, Said(status, b"<html>log in</html>", (("Location", f"{gateway.url}/elsewhere"),)))
    answer = case.send(gateway.url, "page")[0]
    if case.channel == "webhook" and status == 200:
        assert answer == Answer(Outcome.SENT, "HTTP 200"), "a receiver may answer what it likes"
    else:
        assert answer == Answer(Outcome.UNKNOWN, f"HTTP {status}")
    assert messages(gateway) == 1


@every_case
def test_nobody_there_surely_precedes_acceptance(case: Case, gateway: Gateway) -> None:
    nowhere = "http://127.0.0.1:1"
    if case.channel == "wecom":
        with pytest.raises(ChannelError, match="gettoken") as raised:
            case.send(nowhere, "none")
        assert not raised.value.permanent
    else:
        assert case.send(nowhere, "none", 2) == [Answer(Outcome.TRANSIENT, "ConnectError"), Answer(Outcome.NOT_BEGUN)]


@every_case
def test_a_wrong_secret_costs_no_message_and_the_next_connect_tells_it_once(case: Case, gateway: Gateway) -> None:
    gateway.play = answering(case, case.refusal)
    assert case.send(gateway.url, "refused", 2) == [Answer(Outcome.TRANSIENT, case.code), Answer(Outcome.NOT_BEGUN)]
    with pytest.raises(ChannelError, match="refuses the account: ") as raised:
        case.send(gateway.url, "refused")
    assert raised.value.permanent
    assert not any(secret in str(raised.value) for secret in case.secrets)
    assert messages(gateway) == 1
    gateway.play = case.good
    assert case.send(gateway.url, "refused")[0].outcome is Outcome.SENT, "the probe may try"


@every_case
def test_a_missing_setting_is_named_before_anything_is_sent(case: Case, gateway: Gateway) -> None:
    for name in case.settings:
        account = case.account(gateway.url, "missing")
        bare = Sender(account.key, account.transport, account.sender, "", {**account.settings, name: ""})
        with pytest.raises(ChannelError, match=f"'{name}' is empty") as raised:
            send(case.channel, bare, case.to, **case.parts)
        assert raised.value.permanent
    assert gateway.asked == []


@every_case
def test_an_inner_address_is_refused_and_nothing_leaves(case: Case, gateway: Gateway, settings: Any) -> None:
    settings.OUTBOUND_PRIVATE = []
    if case.channel == "wecom":
        with pytest.raises(ChannelError, match="gettoken: refused: ") as raised:
            case.send(gateway.url, "inner")
        assert not raised.value.permanent
    else:
        answers = case.send(gateway.url, "inner", 2)
        assert [one.outcome for one in answers] == [Outcome.TRANSIENT, Outcome.NOT_BEGUN]
        assert answers[0].code.startswith("refused: ")
    assert gateway.asked == []


@every_case
def test_without_a_time_nothing_that_is_signed_leaves(case: Case, gateway: Gateway) -> None:
    gateway.play = case.good
    with channels.get(case.channel).connect(case.account(gateway.url, "undated")) as connection:
        answers = list(connection.send([Outgoing("ref", case.to, "", case.parts)]))
    signed = (case.channel, case.transport) in {
        ("sms", "aliyun"), ("webhook", "http"), ("dingtalk", "http"), ("feishu", "http"),
    }  # fmt: skip
    assert answers[0].outcome is (Outcome.TRANSIENT if signed else Outcome.SENT)
    assert bool(messages(gateway)) is not signed
