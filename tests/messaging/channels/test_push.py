"""Push through FCM v1, against a server that proves the service account's signature and answers as Google's does."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from common import http
from messaging.channels import Answer, ChannelError, Device, Outcome, Sender, _http
from messaging.channels._crypto import unb64
from tests.messaging.channels.gateway import DROP, HOLD, Asked, Gateway, Said
from tests.messaging.channels.sending import AT, push

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
WHO = "sender@shop-1.iam.gserviceaccount.com"
PHONE, TABLET, OLD = Device(1, "phone"), Device(2, "tablet"), Device(3, "old")


def failed(status: int, word: str, code: str = "", *headers: tuple[str, str], **more: Any) -> Said:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    details = [{"@type": kind, "errorCode": code}] if code else []
    details += [more] if more else []
    return Said(status, {"error": {"code": status, "status": word, "message": "…", "details": details}}, headers)


UNREGISTERED = failed(404, "NOT_FOUND", "UNREGISTERED")
BAD_TOKEN = failed(
    400, "INVALID_ARGUMENT", "INVALID_ARGUMENT",
    fieldViolations=[{"field": "message.token", "description": "Invalid registration token"}],
)  # fmt: skip


class Google:
    """POST /token proves the signature; POST /v1/projects/{project}/messages:send wants the token of this hour."""

    def __init__(self) -> None:
        self.tokens = 0
        self.answers: dict[str, Said] = {}
        self.messages: list[dict[str, Any]] = []

    def __call__(self, asked: Asked) -> Said:
        if asked.path == "/token":
            return self.token(asked)
        if asked.headers.get("authorization") != f"Bearer t{self.tokens}":
            return failed(401, "UNAUTHENTICATED")
        if asked.path != "/v1/projects/shop-1/messages:send":
            return failed(404, "NOT_FOUND")
        message = asked.json["message"]
        answer = self.answers.get(message["token"])
        if answer is None:
            self.messages.append(message)
        return answer or Said(200, {"name": f"projects/shop-1/messages/m-{message['token']}"})

    def token(self, asked: Asked) -> Said:
        assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        said, _, signature = asked.form["assertion"].rpartition(".")
        try:
            KEY.public_key().verify(unb64(signature), said.encode(), padding.PKCS1v15(), hashes.SHA256())
        except Exception:  # noqa: BLE001 - whatever is wrong with it, Google says this
            return Said(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        header, claims = (json.loads(unb64(part)) for part in said.split("."))
        now = int(AT.timestamp())
        assert header == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}
        assert claims == {
            "iss": WHO, "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": f"http://{asked.headers['host']}/token", "iat": now, "exp": now + 3600,
        }  # fmt: skip
        self.tokens += 1
        return Said(200, {"access_token": f"t{self.tokens}", "expires_in": 3599, "token_type": "Bearer"})


@pytest.fixture
def google(gateway: Gateway) -> Google:
    gateway.play = made = Google()
    return made


def account(gateway: Gateway, key: str, *, pem: str = PEM, **settings: Any) -> Sender:
    file = {
        "type": "service_account", "project_id": "shop-1", "private_key_id": "kid-1", "private_key": pem,
        "client_email": WHO, "token_uri": f"{gateway.url}/token",
    }  # fmt: skip
    return Sender(f"fcm-{key}", "fcm", "", "", {"url": gateway.url, "service_account": json.dumps(file), **settings})


def test_a_message_is_signed_for_and_says_what_it_should(gateway: Gateway, google: Google) -> None:
    assert push("push", account(gateway, "whole"), PHONE) == [Answer(Outcome.SENT, "200", "m-phone")]
    assert google.messages == [
        {
            "token": "phone",
            "notification": {"title": "Hello", "body": "梅 & co"},
            "data": {"delivery": "ref-0", "url": "https://shop.example/c/1"},
            "android": {"ttl": "3600s"},
            "apns": {"headers": {"apns-expiration": str(int(AT.timestamp()) + 3600)}},
            "webpush": {"headers": {"TTL": "3600"}},
        }
    ]


def test_a_token_is_kept_and_renewed_once_when_it_is_refused(gateway: Gateway, google: Google) -> None:
    sender = account(gateway, "kept")
    push("push", sender, PHONE, PHONE)
    assert google.tokens == 1
    google.tokens = 7  # as if the hour were over there
    assert push("push", sender, PHONE)[0].outcome is Outcome.SENT
    assert google.tokens == 8


def test_every_device_of_a_person_is_told_and_gone_ones_are_named(gateway: Gateway, google: Google) -> None:
    google.answers = {"old": UNREGISTERED}
    assert push("push", account(gateway, "many"), (OLD, PHONE, TABLET), OLD, ()) == [
        Answer(Outcome.SENT, "200 (2 of 3)", "m-phone", gone=(3,)),
        Answer(Outcome.PERMANENT, "UNREGISTERED", gone=(3,)),
        Answer(Outcome.PERMANENT, "no device"),
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (BAD_TOKEN, Answer(Outcome.PERMANENT, "INVALID_ARGUMENT", gone=(1,))),
        (failed(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"), Answer(Outcome.PERMANENT, "INVALID_ARGUMENT")),
        (failed(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), Answer(Outcome.TRANSIENT, "SENDER_ID_MISMATCH")),
        (failed(500, "INTERNAL", "INTERNAL"), Answer(Outcome.UNKNOWN, "HTTP 500")),
        (Said(502, b"<html>"), Answer(Outcome.UNKNOWN, "HTTP 502")),
        (Said(200, b"<html>log in</html>"), Answer(Outcome.UNKNOWN, "HTTP 200")),
        (Said(302, b"", (("Location", "/elsewhere"),)), Answer(Outcome.UNKNOWN, "HTTP 302")),
        (DROP, Answer(Outcome.UNKNOWN, "RemoteProtocolError")),
    ],
)
def test_what_concerns_one_message_lets_the_next_go(
    gateway: Gateway, google: Google, said: Said, expected: Answer
) -> None:
    google.answers = {"phone": said}
    answers = push("push", account(gateway, "one"), PHONE, TABLET)
    assert answers == [expected, Answer(Outcome.SENT, "200", "m-tablet")]


@pytest.mark.parametrize(
    ("said", "code", "wait"),
    [
        (failed(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", ("Retry-After", "90")), "QUOTA_EXCEEDED", 90),
        (failed(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), "QUOTA_EXCEEDED", 60),
        (failed(503, "UNAVAILABLE", "UNAVAILABLE", ("Retry-After", "30")), "UNAVAILABLE", 30),
        (failed(500, "INTERNAL", "INTERNAL", ("Retry-After", "5")), "INTERNAL", 5),
        (Said(503, b"<html>", (("Retry-After", "10"),)), "HTTP 503", 10),
    ],
)
def test_a_throttle_says_when_and_spares_the_rest(
    gateway: Gateway, google: Google, said: Said, code: str, wait: int
) -> None:
    google.answers = {"phone": said}
    assert push("push", account(gateway, "busy"), PHONE, TABLET) == [
        Answer(Outcome.TRANSIENT, code, retry_at=AT + timedelta(seconds=wait)),
        Answer(Outcome.NOT_BEGUN),
    ]
    assert google.messages == []


def test_what_one_device_took_is_not_tried_again_for_the_others(gateway: Gateway, google: Google) -> None:
    google.answers = {"tablet": failed(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), "old": DROP}
    answers = push("push", account(gateway, "half"), (PHONE, TABLET))
    assert answers == [Answer(Outcome.SENT, "200 (1 of 2)", "m-phone")]
    doubtful = push("push", account(gateway, "doubt"), (OLD, TABLET))
    assert doubtful == [Answer(Outcome.UNKNOWN, "RemoteProtocolError (1 of 2)")]


def test_a_wrong_key_costs_no_message_and_is_in_no_log(
    gateway: Gateway, google: Google, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="httpx")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    wrong = account(gateway, "wrong", pem=other.decode())
    assert push("push", wrong, PHONE, PHONE) == [
        Answer(Outcome.TRANSIENT, "token: invalid_grant"), Answer(Outcome.NOT_BEGUN),
    ]  # fmt: skip
    with pytest.raises(ChannelError, match="refuses the account: token: invalid_grant") as raised:
        push("push", wrong, PHONE)
    assert raised.value.permanent
    assert google.messages == []
    push("push", account(gateway, "right"), PHONE)
    assert len(google.messages) == 1
    for secret in ("phone", "Bearer", "t1", PEM.splitlines()[1]):
        assert secret not in caplog.text


def test_a_project_that_refuses_us_costs_no_message(gateway: Gateway, google: Google) -> None:
    google.answers = {
        "phone": failed(403, "PERMISSION_DENIED"),
        "tablet": failed(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
    }
    for device, code in ((PHONE, "HTTP 403"), (TABLET, "THIRD_PARTY_AUTH_ERROR")):
        sender = account(gateway, f"refused-{device.id}")
        assert push("push", sender, device, OLD) == [Answer(Outcome.TRANSIENT, code), Answer(Outcome.NOT_BEGUN)]
        with pytest.raises(ChannelError, match="refuses the account"):
            push("push", sender, device)


def test_silence_is_unknown_and_a_closed_door_is_not(
    gateway: Gateway, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "SECONDS", 0.3)
    google.answers = {"phone": HOLD}
    assert push("push", account(gateway, "slow"), PHONE) == [Answer(Outcome.UNKNOWN, http.TOO_LONG)]
    nowhere = account(gateway, "none", url="http://127.0.0.1:1")
    assert push("push", nowhere, PHONE, PHONE) == [Answer(Outcome.TRANSIENT, "ConnectError"), Answer(Outcome.NOT_BEGUN)]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("", "'service_account' is empty"),
        ("not json", "no key file"),
        ("[]", "no key file"),
        (
            json.dumps({"private_key": "x", "client_email": WHO, "token_uri": "x", "project_id": "shop-1"}),
            "no key file",
        ),
        (json.dumps({"private_key": PEM, "client_email": WHO, "token_uri": "x", "project_id": "../x"}), "no project"),
    ],
)
def test_a_key_file_must_be_one(gateway: Gateway, file: str, expected: str) -> None:
    with pytest.raises(ChannelError, match=expected) as raised:
        push("push", account(gateway, "file", service_account=file), PHONE)
    assert raised.value.permanent
    assert gateway.asked == []
