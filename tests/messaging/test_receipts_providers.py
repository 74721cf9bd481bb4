"""Each provider's receipts as its documentation writes them: signed as it signs, forged, repeated, and what they do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.test import Client

from messaging.models import Account, Address, Delivery, Receipt, Suppression
from messaging.permission import address_for, give_consent
from segments.facts import names
from segments.models import Event, Profile
from tests.messages import make_account
from tests.messaging.mails import BROWSER, ONE_LINK, publish, sent
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
SIGNING, TOKEN, BASIC, PLAIN = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0", "t0ken-s3cret", "hook:pa55w0rd", "c4f3-k3y"
PHONE, CHINESE = "+15005550006", "+8613811112222"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def account(receiver: str, secret: str, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> Account:
    monkeypatch.setenv("HOOK", secret)
    return make_account(receiver, settings={"receiver": receiver, "receipt_secrets_env": "HOOK"}, **fields)


def post(key: str, body: bytes, *, query: str = "", kind: str = "application/json", **headers: str) -> Any:
    return Client().post(f"/receipts/{key}{query}", body, content_type=kind, **headers)


def mail(n: int = 0) -> Delivery:
    return sent(make_profile(email=f"n{n}@example.com"), publish(ONE_LINK, key=f"k{n}"))


def text(person: Profile, n: int = 0, **fields: Any) -> Delivery:
    version = publish(key=f"sms{n}", channel="sms", content={"en": {"text": "Hello, reply STOP to leave"}}, **fields)
    address = address_for(person, "sms", NOW)
    assert address is not None
    if version.topic and not address.consents:
        give_consent(address, version.topic, now=NOW - timedelta(days=1), source="form")
    return sent(person, version, prefix=f"s{n}")


def reached(row: Delivery) -> int:
    return Delivery.objects.values_list("reached", flat=True).get(pk=row.pk)


# Mailgun


def mailgun(
    row: Delivery, event: str = "delivered", *, at: float | None = None, key: str = SIGNING, **more: Any
) -> bytes:
    stamp, token = str(int(at or NOW.timestamp())), "a" * 50
    data = {
        "event": event, "timestamp": NOW.timestamp() - 30.25, "id": "W3X4JOhFT-OZidZGKKr9iA", "recipient": "n0@example.com",
        "message": {"headers": {"message-id": f"{row.public_id}@shop.example"}}, "user-variables": {}, "tags": [],
        "client-info": {"user-agent": BROWSER}, **more,
    }  # fmt: skip
    signature = hmac.new(key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
    return json.dumps(
        {"signature": {"timestamp": stamp, "token": token, "signature": signature}, "event-data": data}
    ).encode()


def test_mailgun_tells_what_was_delivered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    account("mailgun", SIGNING, monkeypatch)
    row = mail()
    for again in (1, 0, 0):
        assert post("mailgun", mailgun(row)).json() == {"received": 1, "new": again}
    kept = Receipt.objects.get()
    assert (kept.kind, kept.delivery_id, kept.raw["said"]["event-data.event"]) == ("delivered", row.pk, "delivered")
    assert reached(row) == Delivery.Reached.DELIVERED


@pytest.mark.parametrize(
    "body",
    [
        lambda row: mailgun(row, key="another-key"),
        lambda row: mailgun(row, at=NOW.timestamp() - 301),
        lambda row: mailgun(row, at=NOW.timestamp() + 301),
        lambda row: mailgun(row).replace(b"aaaa", b"aaab", 1),
        lambda row: b"{}", lambda row: b"", lambda row: b"[1]", lambda row: b"\xff",
        lambda row: b'{"signature": {"timestamp": 1, "token": [], "signature": {}}}',
    ],
)  # fmt: skip
def test_mailgun_forged_or_old_is_not_read(body: Callable[[Delivery], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    account("mailgun", SIGNING, monkeypatch)
    assert post("mailgun", body(mail())).status_code == 401
    assert not Receipt.objects.exists()


@pytest.mark.parametrize(
    ("status", "suppressed", "level"),
    [
        ({"code": 550, "enhanced-code": "5.1.1", "message": "no such user"}, "hard_bounce", Delivery.Reached.HARD),
        ({"code": 550, "enhanced-code": "5.7.1", "message": "blocked by policy"}, "", Delivery.Reached.ACCEPTED),
        ({"code": 552, "enhanced-code": "5.2.2", "message": "mailbox full"}, "", Delivery.Reached.SOFT),
        (
            {"code": 605, "message": "Not delivering to previously bounced address"},
            "hard_bounce",
            Delivery.Reached.HARD,
        ),
    ],
)
def test_mailgun_bounces_by_what_the_reply_says_of_the_mailbox(
    status: dict[str, Any], suppressed: str, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    account("mailgun", SIGNING, monkeypatch)
    row = mail()
    body = mailgun(row, "failed", severity="permanent", reason="bounce", **{"delivery-status": status})
    assert post("mailgun", body).status_code == 200
    assert Address.objects.get(pk=row.address_id).suppressed == suppressed
    assert reached(row) == level


# SendGrid


def sendgrid(
    *events: dict[str, Any], at: int | None = None, key: ec.EllipticCurvePrivateKey = KEY
) -> tuple[bytes, dict[str, str]]:
    body, stamp = json.dumps(events).encode(), str(at or int(NOW.timestamp()))
    signature = base64.b64encode(key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    prefix = "HTTP_X_TWILIO_EMAIL_EVENT_WEBHOOK"
    return body, {f"{prefix}_SIGNATURE": signature, f"{prefix}_TIMESTAMP": stamp}


def grid(row: Delivery, event: str, **more: Any) -> dict[str, Any]:
    return {
        "email": "n0@example.com", "timestamp": int(NOW.timestamp()) - 5, "event": event, "sg_event_id": f"id-{event}",
        "smtp-id": f"<{row.public_id}@shop.example>", "sg_message_id": "14c5d75ce93", **more,
    }  # fmt: skip


def test_sendgrid_a_list_in_any_order_and_forty_six_times_under_new_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    account("sendgrid", PUBLIC, monkeypatch)
    row, other = mail(), mail(1)
    events = [
        grid(row, "spamreport"), grid(row, "delivered"), grid(row, "processed"),
        grid(other, "bounce", type="bounce", reason="550 5.1.1 no such user", status="5.1.1"),
    ]  # fmt: skip
    for n in range(46):
        body, signed = sendgrid(*[{**event, "sg_event_id": f"{n}"} for event in events])
        assert post("sendgrid", body, **signed).status_code == 200
    assert Receipt.objects.count() == 4
    assert (reached(row), reached(other)) == (Delivery.Reached.COMPLAINED, Delivery.Reached.HARD)
    assert sorted(Suppression.objects.values_list("reason", flat=True)) == ["complaint", "hard_bounce"]
    assert Event.objects.filter(name=names.COMPLAINED).count() == 1


def test_sendgrid_signed_by_another_key_or_long_ago_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    account("sendgrid", PUBLIC, monkeypatch)
    row = mail()
    for body, signed in (
        sendgrid(grid(row, "spamreport"), key=ec.generate_private_key(ec.SECP256R1())),
        sendgrid(grid(row, "spamreport"), at=int(NOW.timestamp()) - 301),
        (sendgrid(grid(row, "spamreport"))[0], {}),
    ):
        assert post("sendgrid", body, **signed).status_code == 401
    body, signed = sendgrid(grid(row, "spamreport"))
    assert post("sendgrid", body + b" ", **signed).status_code == 401
    assert not Receipt.objects.exists()
    assert not Suppression.objects.exists()


def test_a_secret_that_is_no_key_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    account("sendgrid", "not-a-key", monkeypatch)
    body, signed = sendgrid(grid(mail(), "delivered"))
    assert post("sendgrid", body, **signed).status_code == 401


# Postmark


def postmark(row: Delivery, record: str, **more: Any) -> bytes:
    at = (NOW - timedelta(seconds=9)).isoformat().replace("+00:00", "Z")
    times = {"Delivery": "DeliveredAt", "Bounce": "BouncedAt", "SpamComplaint": "BouncedAt", "Open": "ReceivedAt"}
    said = {"RecordType": record, "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483", "Recipient": "n0@example.com",
            times[record]: at, "Metadata": {"delivery": str(row.public_id)}, **more}  # fmt: skip
    return json.dumps(said).encode()


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(secret.encode()).decode()


@pytest.mark.parametrize(
    ("record", "more", "level"),
    [
        ("Delivery", {}, Delivery.Reached.DELIVERED),
        ("Bounce", {"Type": "HardBounce", "Email": "n0@example.com"}, Delivery.Reached.HARD),
        ("Bounce", {"Type": "SoftBounce", "Email": "n0@example.com"}, Delivery.Reached.SOFT),
        ("Bounce", {"Type": "Transient", "Email": "n0@example.com"}, Delivery.Reached.ACCEPTED),
        ("SpamComplaint", {"Type": "SpamComplaint", "Email": "n0@example.com"}, Delivery.Reached.COMPLAINED),
        ("Open", {"UserAgent": BROWSER, "FirstOpen": True}, Delivery.Reached.OPENED),
    ],
)
def test_postmark_by_name_and_password(
    record: str, more: dict[str, Any], level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    account("postmark", BASIC, monkeypatch)
    row = mail()
    body = postmark(row, record, **more)
    for given in ({}, {"HTTP_AUTHORIZATION": basic("hook:wrong")}, {"HTTP_AUTHORIZATION": "Basic !"}):
        assert post("postmark", body, **given).status_code == 401
    assert not Receipt.objects.exists()
    assert post("postmark", body, HTTP_AUTHORIZATION=basic(BASIC)).status_code == 200
    assert reached(row) == level


# Twilio


def twilio(key: str, said: dict[str, str], *, query: str = "", token: str = TOKEN) -> tuple[bytes, dict[str, str]]:
    url = f"{settings.PUBLIC_URL}/receipts/{key}{query}"
    text_ = url + "".join(name + said[name] for name in sorted(said))
    signature = base64.b64encode(hmac.new(token.encode(), text_.encode(), hashlib.sha1).digest()).decode()
    return urlencode(said).encode(), {"HTTP_X_TWILIO_SIGNATURE": signature}


def call(said: dict[str, str], *, query: str = "", **fields: Any) -> Any:
    body, signed = twilio("twilio", said, query=query, **fields)
    return post("twilio", body, query=query, kind="application/x-www-form-urlencoded", **signed)


def test_the_signature_is_the_one_of_twilios_own_example() -> None:
    """The vector of their documentation and libraries (token 12345, mycompany.com/myapp.php)."""
    said = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    text_ = "https://mycompany.com/myapp.php?foo=1&bar=2" + "".join(name + said[name] for name in sorted(said))
    right = base64.b64encode(hmac.new(b"12345", text_.encode(), hashlib.sha1).digest()).decode()
    assert right == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    from messaging.receipts import Call, receivers

    given = Call(urlencode(said).encode(), {"x-twilio-signature": right}, "https://mycompany.com/myapp.php?foo=1&bar=2")
    assert receivers.get("twilio").verify(given, ["other", "12345"], NOW)
    assert not receivers.get("twilio").verify(given, ["other"], NOW)


@pytest.mark.parametrize(
    ("status", "error", "kind", "level"),
    [
        ("delivered", "", "delivered", Delivery.Reached.DELIVERED),
        ("undelivered", "30005", "hard", Delivery.Reached.HARD),
        ("undelivered", "30003", "soft", Delivery.Reached.SOFT),
        ("failed", "30007", "other", Delivery.Reached.ACCEPTED),
        ("sent", "", "other", Delivery.Reached.ACCEPTED),
    ],
)
def test_twilio_reports_by_our_id_in_its_address(
    status: str, error: str, kind: str, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    row = text(make_profile(phone=PHONE))
    said = {"MessageSid": "SM1", "MessageStatus": status, "To": PHONE} | ({"ErrorCode": error} if error else {})
    query = f"?ref={row.public_id}"
    assert call(said, query="?ref=00000000-0000-0000-0000-000000000000", token="wrong").status_code == 401
    answer = call(said, query=query)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/xml")
    call(said, query=query)
    assert list(Receipt.objects.values_list("kind", "delivery")) == [(kind, row.pk)]
    assert reached(row) == level


def test_a_twilio_call_is_good_for_the_address_it_was_made_to_only(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    one, other = text(make_profile(phone=PHONE)), text(make_profile(phone=CHINESE), 1)
    said = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30005"}
    body, signed = twilio("twilio", said, query=f"?ref={one.public_id}")
    form = "application/x-www-form-urlencoded"
    assert post("twilio", body, query=f"?ref={other.public_id}", kind=form, **signed).status_code == 401
    assert (
        post("twilio", body + b"&MessageStatus=x", query=f"?ref={one.public_id}", kind=form, **signed).status_code
        == 401
    )
    assert not Suppression.objects.exists()


# Aliyun


def aliyun(*said: dict[str, Any], key: str = PLAIN) -> Any:
    return post("aliyun", json.dumps(said).encode(), query=f"?key={key}")


def report(row: Delivery, *, success: bool = True, code: str = "DELIVERED", **more: Any) -> dict[str, Any]:
    return {"phone_number": "13811112222", "send_time": "2026-03-02 19:59:00", "report_time": "2026-03-02 20:00:00",
            "success": success, "err_code": code, "err_msg": "用户接收成功", "sms_size": "1", "biz_id": "9006^0",
            "out_id": str(row.public_id), **more}  # fmt: skip


@pytest.mark.parametrize(
    ("success", "code", "level"),
    [
        (True, "DELIVERED", Delivery.Reached.DELIVERED),
        (False, "MOBILE_NOT_EXIST", Delivery.Reached.HARD),
        (False, "MOBILE_NOT_ON_SERVICE", Delivery.Reached.SOFT),
        (False, "SP_UNKNOWN_ERROR", Delivery.Reached.ACCEPTED),
    ],
)
def test_aliyun_reports_by_the_id_that_went_along(
    success: bool, code: str, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    account("aliyun", PLAIN, monkeypatch, channel="sms", transport="aliyun")
    row = text(make_profile(phone=CHINESE))
    assert aliyun(report(row, success=success, code=code), key="wrong").status_code == 401
    answer = aliyun(report(row, success=success, code=code))
    assert (answer.status_code, answer.json()) == (200, {"code": 0, "msg": "接收成功"})
    aliyun(report(row, success=success, code=code))
    assert Receipt.objects.count() == 1
    assert reached(row) == level


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'[{"success": true}]', b"[" * 100_000])
def test_aliyun_with_the_key_but_unreadable_is_told_so(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    account("aliyun", PLAIN, monkeypatch, channel="sms", transport="aliyun")
    assert post("aliyun", body, query=f"?key={PLAIN}").status_code == 400
