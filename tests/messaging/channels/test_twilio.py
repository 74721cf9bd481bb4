"""SMS through Twilio, against a server that answers as its documentation says."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from messaging.channels import Answer, ChannelError, Outcome, Sender
from messaging.models import Account
from messaging.outbox.accounts import sender_of
from tests.messaging.channels import sending
from tests.messaging.channels.gateway import DROP, Asked, Gateway, Said, script
from tests.messaging.channels.sending import AT

SID, TOKEN, SHOP = "AC" + "0" * 32, "t0ken-s3cret", "+15005550006"
GOOD, BAD, STOPPED, LANDLINE, BUSY, GONE = (f"+1500555{n:04}" for n in (100, 1, 10, 9, 29, 99))


def error(status: int, code: int, *headers: tuple[str, str]) -> Said:
    said = {"code": code, "message": "…", "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return Said(status, said, headers)


ERRORS = {
    BAD: error(400, 21211),
    STOPPED: error(400, 21610),
    LANDLINE: error(400, 21614),
    BUSY: error(429, 20429, ("Retry-After", "7")),
    GONE: DROP,
}


def twilio(asked: Asked) -> Said:
    """The Messages resource: authentication first, then the number it goes to."""
    right = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
    if asked.headers.get("authorization") != f"Basic {right}":
        return error(401, 20003)
    if (asked.method, asked.target) != ("POST", f"/2010-04-01/Accounts/{SID}/Messages.json"):
        return error(404, 20404)
    form = asked.form
    if "From" not in form and "MessagingServiceSid" not in form:
        return error(400, 21603)
    sid = f"SM{form['To'].removeprefix('+')}"
    return ERRORS.get(form["To"]) or Said(201, {"sid": sid, "status": "queued", "error_code": None})


@pytest.fixture
def provider(gateway: Gateway) -> Gateway:
    gateway.play = twilio
    return gateway


def account(provider: Gateway, key: str, *, sender: str = SHOP, **settings: Any) -> Sender:
    said = {"url": provider.url, "account_sid": SID, "auth_token": TOKEN, **settings}
    return Sender(f"twilio-{key}", "twilio", sender, "", said)


def send(sender: Sender, *to: str, text: str = "Hello 梅 & co") -> list[Answer]:
    return sending.send("sms", sender, *to, text=text)


def test_a_message_is_a_form_and_its_sid_the_reference(provider: Gateway) -> None:
    callback = "https://shop.example/receipts/sms"
    assert send(account(provider, "form", status_callback=callback), GOOD) == [
        Answer(Outcome.SENT, "201", f"SM{GOOD.removeprefix('+')}")
    ]
    form = provider.asked[0].form
    assert form == {"From": SHOP, "StatusCallback": f"{callback}?ref=ref-0", "To": GOOD, "Body": "Hello 梅 & co"}
    assert provider.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_messaging_service_goes_before_the_sender(provider: Gateway) -> None:
    assert send(account(provider, "service", messaging_service_sid="MG1"), GOOD)[0].outcome is Outcome.SENT
    form = provider.asked[0].form
    assert (form["MessagingServiceSid"], "From" in form) == ("MG1", False)


def test_each_message_has_its_own_answer(provider: Gateway) -> None:
    answers = send(account(provider, "each"), BAD, GOOD, STOPPED, LANDLINE, GOOD)
    assert [(one.outcome.value, one.code, one.bounce.value) for one in answers] == [
        ("permanent", "twilio 21211", "hard"),
        ("sent", "201", ""),
        ("permanent", "twilio 21610", "opted_out"),
        ("permanent", "twilio 21614", "hard"),
        ("sent", "201", ""),
    ]
    assert len(provider.asked) == 5


def test_a_throttle_says_when_and_spares_the_rest(provider: Gateway) -> None:
    assert send(account(provider, "busy"), GOOD, BUSY, GOOD) == [
        Answer(Outcome.SENT, "201", f"SM{GOOD.removeprefix('+')}"),
        Answer(Outcome.TRANSIENT, "twilio 20429", retry_at=AT + timedelta(seconds=7)),
        Answer(Outcome.NOT_BEGUN),
    ]
    assert len(provider.asked) == 2


def test_too_many_between_two_numbers_concerns_no_other(provider: Gateway) -> None:
    provider.play = script(error(429, 14107), Said(201, {"sid": "SM2", "status": "queued"}))
    assert send(account(provider, "pair"), GOOD, GOOD) == [
        Answer(Outcome.TRANSIENT, "twilio 14107", retry_at=AT + timedelta(minutes=1)),
        Answer(Outcome.SENT, "201", "SM2"),
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (error(500, 20500), Answer(Outcome.UNKNOWN, "HTTP 500")),
        (error(503, 20503), Answer(Outcome.UNKNOWN, "HTTP 503")),
        (Said(504, b"<html>"), Answer(Outcome.UNKNOWN, "HTTP 504")),
        (Said(200, b"<html>log in</html>"), Answer(Outcome.UNKNOWN, "HTTP 200")),
        (Said(201, b"<html>"), Answer(Outcome.UNKNOWN, "HTTP 201 without a sid")),
        (Said(201, {"sid": "SM1", "status": "failed", "error_code": 30006}), Answer(Outcome.PERMANENT, "twilio 30006")),
        (Said(302, b"", (("Location", "/elsewhere"),)), Answer(Outcome.UNKNOWN, "HTTP 302")),
        (error(429, 20429), Answer(Outcome.TRANSIENT, "twilio 20429")),
        (error(400, 21617), Answer(Outcome.PERMANENT, "twilio 21617")),
        (error(400, 63017), Answer(Outcome.TRANSIENT, "twilio 63017")),
        (error(400, 21609), Answer(Outcome.TRANSIENT, "twilio 21609")),
        (Said(201, {"sid": "SM1", "status": "failed", "error_code": 30001}), Answer(Outcome.TRANSIENT, "twilio 30001")),
        (Said(201, {"sid": "SM1", "status": "failed", "error_code": 30002}), Answer(Outcome.TRANSIENT, "twilio 30002")),
    ],
)
def test_only_a_documented_answer_is_an_answer(provider: Gateway, said: Said, expected: Answer) -> None:
    provider.play = lambda asked: said
    assert send(account(provider, "odd"), GOOD) == [expected]
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("sender", "given", "expected"),
    [
        (SHOP, {"account_sid": ""}, "'account_sid' is empty"),
        (SHOP, {"auth_token": ""}, "'auth_token' is empty"),
        ("", {}, "neither a sender nor"),
        (SHOP, {"max_segments": "3"}, "'max_segments' is no number"),
        (SHOP, {"max_segments": 0}, "'max_segments' is no number"),
    ],
)
def test_missing_settings_are_named_before_anything_is_sent(
    provider: Gateway, sender: str, given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ChannelError, match=expected) as raised:
        send(account(provider, "missing", sender=sender, **given), GOOD)
    assert raised.value.permanent
    assert TOKEN not in str(raised.value)
    assert provider.asked == []


def test_an_account_may_allow_fewer_segments(provider: Gateway) -> None:
    sender = account(provider, "short", max_segments=1)
    assert send(sender, GOOD, text="x" * 161) == [Answer(Outcome.PERMANENT, "2 segments of GSM-7, at most 1")]
    assert provider.asked == []
    assert send(sender, GOOD, text="x" * 160)[0].outcome is Outcome.SENT


def test_the_token_comes_from_a_file_and_is_in_no_log(
    provider: Gateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("SHOP_SMS_FILE", str(tmp_path / "token"))
    settings = {"url": provider.url, "account_sid": SID, "auth_token_env": "SHOP_SMS"}
    row = Account(key="twilio-file", channel="sms", transport="twilio", sender=SHOP, settings=settings)
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="httpx")  # as if nobody had quietened it
    assert [one.outcome.value for one in send(sender_of(row), GOOD, BAD)] == ["sent", "permanent"]
    basic = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
    for secret in (TOKEN, basic, GOOD, "Hello"):
        assert secret not in caplog.text
