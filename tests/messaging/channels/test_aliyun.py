"""SMS through Aliyun, against a server that checks each signature by its own reckoning."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from messaging.channels import Answer, Bounce, ChannelError, Outcome, Sender
from messaging.channels._aliyun import canonical_query, signed, variables
from tests.messaging.channels import sending
from tests.messaging.channels.gateway import Asked, Gateway, Said
from tests.messaging.channels.sending import AT

KEY, SECRET = "LTAI-test", "s3cret"
GOOD, OFTEN, BAD = "+8613800138000", "+8613800138001", "+8613800138002"
NONE = hashlib.sha256(b"").hexdigest()
AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})")


def said(code: str, status: int = 200, message: str = "…", **more: Any) -> Said:
    return Said(status, {"RequestId": "F655A8D5", "Code": code, "Message": message, **more})


def is_signed(asked: Asked) -> bool:
    """The documented algorithm over the request as it came in: the raw query, and the headers that it names."""
    match = AUTHORIZATION.fullmatch(asked.headers.get("authorization", ""))
    if match is None or match[1] != KEY:
        return False
    names = match[2].split(";")
    must = {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
    path, _, query = asked.target.partition("?")
    canonical = "\n".join(
        [
            asked.method,
            path,
            "&".join(sorted(query.split("&"))),
            *(f"{name}:{asked.headers[name].strip()}" for name in names),
            "",
            match[2],
            hashlib.sha256(asked.body).hexdigest(),
        ]
    )
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    right = hmac.new(SECRET.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return names == sorted(names) and must <= set(names) and right == match[3]


ERRORS = {
    OFTEN.removeprefix("+86"): said("isv.BUSINESS_LIMIT_CONTROL", message="触发小时级流控Permits:5"),
    BAD.removeprefix("+86"): said("isv.MOBILE_NUMBER_ILLEGAL"),
}


def aliyun(asked: Asked) -> Said:
    """SendSms: the signature first, then the number it goes to."""
    if not is_signed(asked):
        return said("SignatureDoesNotMatch", 400)
    if (asked.headers["x-acs-action"], asked.headers["x-acs-version"]) != ("SendSms", "2017-05-25"):
        return said("InvalidAction.NotFound", 404)
    return ERRORS.get(asked.query["PhoneNumbers"]) or said("OK", BizId="9006197469364984^0")


@pytest.fixture
def provider(gateway: Gateway) -> Gateway:
    gateway.play = aliyun
    return gateway


def account(provider: Gateway, key: str, **more: Any) -> Sender:
    given = {"url": provider.url, "access_key_id": KEY, "access_key_secret": SECRET, "sign_name": "小店", **more}
    return Sender(f"aliyun-{key}", "aliyun", "", "", given)


def send(sender: Sender, *to: str, **parts: str) -> list[Answer]:
    return sending.send("sms", sender, *to, **{"template": "SMS_154950909", **parts})


def test_the_signature_is_that_of_the_published_example() -> None:
    query = canonical_query(
        {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
    )
    headers = signed(
        query,
        host="ecs.cn-shanghai.aliyuncs.com",
        action=("RunInstances", "2014-05-26"),
        key=("YourAccessKeyId", "YourAccessKeySecret"),
        nonce="3156853299f313e23d1673dc12e1703d",
        at=datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
    )
    assert headers["Authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_a_message_is_a_template_with_variables(provider: Gateway) -> None:
    answers = send(account(provider, "whole"), GOOD, variables='name=梅 "M" & co/+*~\ncode = 12=34 ')
    assert answers == [Answer(Outcome.SENT, "OK", "9006197469364984^0")]
    query = provider.asked[0].query
    assert json.loads(query.pop("TemplateParam")) == {"name": '梅 "M" & co/+*~', "code": "12=34"}
    assert query == {
        "PhoneNumbers": "13800138000",
        "SignName": "小店",
        "TemplateCode": "SMS_154950909",
        "OutId": "ref-0",
    }
    headers = provider.asked[0].headers
    assert (headers["x-acs-date"], headers["x-acs-content-sha256"]) == ("2026-11-02T10:00:00Z", NONE)


def test_a_number_abroad_keeps_its_country_and_no_variables_are_no_parameter(provider: Gateway) -> None:
    assert send(account(provider, "abroad"), "+85251234567")[0].outcome is Outcome.SENT
    query = provider.asked[0].query
    assert (query["PhoneNumbers"], "TemplateParam" in query) == ("85251234567", False)


def test_each_message_has_its_own_answer_and_its_own_nonce(provider: Gateway) -> None:
    assert send(account(provider, "each"), OFTEN, GOOD, BAD, GOOD) == [
        Answer(Outcome.TRANSIENT, "isv.BUSINESS_LIMIT_CONTROL", retry_at=AT + timedelta(hours=1)),
        Answer(Outcome.SENT, "OK", "9006197469364984^0"),
        Answer(Outcome.PERMANENT, "isv.MOBILE_NUMBER_ILLEGAL", bounce=Bounce.HARD),
        Answer(Outcome.SENT, "OK", "9006197469364984^0"),
    ]
    assert len({asked.headers["x-acs-signature-nonce"] for asked in provider.asked}) == 4


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            said("isv.BUSINESS_LIMIT_CONTROL", message="触发分钟级流控Permits:1"),
            Answer(Outcome.TRANSIENT, "isv.BUSINESS_LIMIT_CONTROL", retry_at=AT + timedelta(minutes=1)),
        ),
        (
            said("isv.BUSINESS_LIMIT_CONTROL", message="触发天级流控Permits:10"),
            Answer(Outcome.TRANSIENT, "isv.BUSINESS_LIMIT_CONTROL", retry_at=AT + timedelta(days=1)),
        ),
        (
            said("isv.DAY_LIMIT_CONTROL"),
            Answer(Outcome.TRANSIENT, "isv.DAY_LIMIT_CONTROL", retry_at=AT + timedelta(hours=1)),
        ),
        (
            said("Throttling.User", 400),
            Answer(Outcome.TRANSIENT, "Throttling.User", retry_at=AT + timedelta(minutes=1)),
        ),
        (said("isv.TEMPLATE_MISSING_PARAMETERS"), Answer(Outcome.PERMANENT, "isv.TEMPLATE_MISSING_PARAMETERS")),
        (said("isp.SYSTEM_ERROR"), Answer(Outcome.UNKNOWN, "isp.SYSTEM_ERROR")),
        (said("ServiceUnavailable", 503), Answer(Outcome.UNKNOWN, "ServiceUnavailable")),
        (said("OK", 500), Answer(Outcome.UNKNOWN, "HTTP 500")),
        (Said(200, b"<html>log in</html>"), Answer(Outcome.UNKNOWN, "HTTP 200")),
        (Said(302, b"", (("Location", "/elsewhere"),)), Answer(Outcome.UNKNOWN, "HTTP 302")),
    ],
)
def test_its_code_decides(provider: Gateway, answer: Said, expected: Answer) -> None:
    provider.play = lambda asked: answer
    assert send(account(provider, "code"), GOOD) == [expected]
    assert len(provider.asked) == 1


@pytest.mark.parametrize("name", ["access_key_id", "access_key_secret", "sign_name"])
def test_missing_settings_are_named(provider: Gateway, name: str) -> None:
    with pytest.raises(ChannelError, match=f"'{name}' is empty") as raised:
        send(account(provider, "missing", **{name: ""}), GOOD)
    assert raised.value.permanent
    assert provider.asked == []


def test_a_message_without_a_template_is_not_sent(provider: Gateway) -> None:
    assert send(account(provider, "untold"), GOOD, template="", text="Hello") == [
        Answer(Outcome.PERMANENT, "no template code")
    ]
    assert provider.asked == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ({}, "")),
        ("name=Mei; code=42", ({"name": "Mei", "code": "42"}, "")),
        ("name=\n", ({"name": ""}, "")),
        ("name=Mei\ncode=1\ncode=42", ({"name": "Mei", "code": "1"}, "the variable 'code' comes twice")),
        ("名=梅", ({}, "a variable is not written as name=value")),
        ("no variables", ({}, "a variable is not written as name=value")),
    ],
)
def test_variables_are_written_by_line_or_semicolon(text: str, expected: tuple[dict[str, str], str]) -> None:
    assert variables(text) == expected
