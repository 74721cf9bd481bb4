"""Apprise, by its own plug-in for JSON against a local server: what worked is sent, all else is unknown."""

from __future__ import annotations

import time

import pytest

from messaging.channels import Answer, ChannelError, Outcome, Outgoing, Sender, apprise, channels
from tests.messaging.channels.gateway import DROP, HOLD, Gateway, Said
from tests.messaging.channels.sending import send

FAILED = Answer(Outcome.UNKNOWN, "apprise failure")


def account(gateway: Gateway, key: str, url: str = "") -> Sender:
    address = url or f"json://user:s3cret@127.0.0.1:{gateway.server_port}/hook"
    return Sender(f"apprise-{key}", "apprise", "", "", {"url": address})


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "SECONDS", 1)


def test_messages_arrive_as_they_were_written_and_at_our_own_pace(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    gateway.play = lambda asked: Said(200, {})
    began = time.monotonic()
    assert (
        send("apprise", account(gateway, "whole"), "", "", "", title="Alarm", text="梅 & co")
        == [Answer(Outcome.SENT, "success")] * 3
    )
    assert time.monotonic() - began < 5, "its throttle of 5.5 s a message is off"
    first = gateway.asked[0]
    assert (first.path, len(gateway.asked)) == ("/hook", 3)
    assert (first.json["title"], first.json["message"]) == ("Alarm", "梅 & co")
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("said", [Said(500), Said(401), Said(429), DROP])
def test_what_did_not_work_is_unknown_for_nobody_says_why(gateway: Gateway, said: Said) -> None:
    answers = iter([said, Said(200, {})])
    gateway.play = lambda asked: next(answers)
    assert send("apprise", account(gateway, "odd"), "", "") == [FAILED, Answer(Outcome.SENT, "success")]
    assert len(gateway.asked) == 2, "nothing is sent twice"


def test_silence_ends(gateway: Gateway) -> None:
    gateway.play = lambda asked: HOLD
    assert send("apprise", account(gateway, "slow"), "")[0].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1/", "json://", "unknown://x"])
def test_an_address_must_be_one_that_apprise_knows(gateway: Gateway, url: str) -> None:
    with pytest.raises(ChannelError, match="no address that apprise knows") as raised:
        send("apprise", account(gateway, "bad", url), "")
    assert raised.value.permanent
    assert url not in str(raised.value)
    assert gateway.asked == []


def test_there_must_be_something_to_say() -> None:
    check = channels.get("apprise").check
    assert check(Outgoing("1", "", "", {"title": "T"})) == "neither text nor markdown"
    assert check(Outgoing("1", "", "", {"markdown": "**x**"})) == ""
