"""E-mail by django-anymail's own backends, against servers that answer as Mailgun's and Postmark's documentation says."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import Counter
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qs

import pytest

from messaging.channels import Answer, Bounce, ChannelError, Outcome, Outgoing, Sender, channels
from messaging.models import Attempt, Delivery
from messaging.outbox import send as sending_verb
from messaging.outbox.send import send_due
from tests.messages import make_account, make_readers, make_version, queue_to, render_plainly
from tests.messaging.channels.gateway import DROP, HOLD, Asked, Gateway, Said, script
from tests.messaging.channels.sending import AT

DOMAIN, KEY = "shop.example.com", "k3y-s3cret"
FIELD = re.compile(r"%recipient\.([^%]+)%")
MEI, BO, BAD, GONE = "mei@example.com", "bo@example.com", "bad@example.com", "gone@example.com"


def form_of(asked: Asked) -> dict[str, list[str]]:
    """The fields of a form, url-encoded or multipart."""
    kind = asked.headers["content-type"]
    if not kind.startswith("multipart/"):
        return parse_qs(asked.body.decode(), strict_parsing=True, keep_blank_values=True)
    form: dict[str, list[str]] = {}
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + asked.body, policy=policy.HTTP)
    for part in whole.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        form.setdefault(name, []).append(part.get_content().removesuffix("\r\n"))
    return form


def filled(text: str, variables: dict[str, str]) -> str:
    return FIELD.sub(lambda found: variables.get(found[1], ""), text)


class Mailgun:
    """POST /v3/{domain}/messages: one id for all; any address it cannot read refuses the whole call; `%recipient.x%`
    is filled in for each recipient. `mails` are what it would deliver."""

    def __init__(self) -> None:
        self.mails: list[dict[str, str]] = []

    def __call__(self, asked: Asked) -> Said:
        right = base64.b64encode(f"api:{KEY}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {right}":
            return Said(401, b"Forbidden")
        if asked.path != f"/v3/{DOMAIN}/messages":
            return Said(404, {"message": "Domain not found"})
        form = form_of(asked)
        to = [one.strip() for field in form["to"] for one in field.split(",")]
        if any(BAD in one for one in to):
            return Said(400, {"message": "to parameter is not a valid address. please check documentation"})
        variables = json.loads(form.get("recipient-variables", ["{}"])[0])
        assert len(to) == 1 or variables, "without recipient variables everybody would see everybody"
        for one in to:
            bare = one.rpartition("<")[2].rstrip(">")
            known = variables.get(bare, {})
            self.mails.append(
                {"to": one}
                | {
                    name: filled(values[0], known)
                    for name, values in form.items()
                    if name not in ("to", "recipient-variables")
                }
            )
        return Said(200, {"id": f"<{len(self.mails)}@{DOMAIN}>", "message": "Queued. Thank you."})


def account(gateway: Gateway, key: str, **settings: Any) -> Sender:
    given = {"esp": "mailgun", "api_key": KEY, "sender_domain": DOMAIN, "api_url": f"{gateway.url}/v3", **settings}
    return Sender(f"anymail-{key}", "anymail", "Shop <shop@example.com>", "help@example.com", given)


def mails(*to: str, **fields: str) -> list[Outgoing]:
    return [
        Outgoing(
            f"ref-{n}",
            one,
            "Mei",
            {"subject": f"Hello {n}", "text": f"Hello {n}", "html": f"<p>Hello <b>{n}</b> & co</p>", **fields},
            message_id=f"<ref-{n}@example.com>",
            headers={"List-Unsubscribe": f"<https://shop.example/u/{n}>", "List-Unsubscribe-Post": "One-Click"},
            at=AT,
        )
        for n, one in enumerate(to)
    ]


def send(sender: Sender, messages: list[Outgoing]) -> list[Answer]:
    with channels.get("email").connect(sender) as connection:
        return list(connection.send(messages))


def test_one_message_a_call_carries_all_that_is_ours(gateway: Gateway) -> None:
    gateway.play = mailgun = Mailgun()
    assert send(account(gateway, "one"), mails(MEI)) == [Answer(Outcome.SENT, "queued", f"<1@{DOMAIN}>")]
    mail = mailgun.mails[0]
    assert mail["v:delivery"] == "ref-0"
    assert mail["h:Message-Id"] == "<ref-0@example.com>"
    assert mail["h:List-Unsubscribe"] == "<https://shop.example/u/0>"
    assert mail["h:Reply-To"] == "help@example.com"
    assert (mail["to"], mail["subject"], mail["text"]) == (f"Mei <{MEI}>", "Hello 0", "Hello 0")
    assert mail["html"] == "<p>Hello <b>0</b> & co</p>"


def test_a_batch_is_one_call_in_which_each_has_its_own_message(gateway: Gateway) -> None:
    gateway.play = mailgun = Mailgun()
    answers = send(account(gateway, "batch", batch=True), mails(MEI, BO, GONE))
    assert answers == [Answer(Outcome.SENT, "queued", f"<3@{DOMAIN}>")] * 3
    assert len(gateway.asked) == 1
    for n, mail in enumerate(mailgun.mails):
        assert (mail["v:delivery"], mail["subject"], mail["text"]) == (f"ref-{n}", f"Hello {n}", f"Hello {n}")
        assert mail["html"] == f"<p>Hello <b>{n}</b> & co</p>"
        assert mail["h:List-Unsubscribe"] == f"<https://shop.example/u/{n}>"


def test_one_wrong_address_costs_the_others_nothing(gateway: Gateway) -> None:
    gateway.play = mailgun = Mailgun()
    answers = send(account(gateway, "partial", batch=True), mails(MEI, BAD, BO))
    assert [(one.outcome.value, one.code) for one in answers] == [
        ("sent", "queued"), ("permanent", "HTTP 400"), ("sent", "queued"),
    ]  # fmt: skip
    assert Counter(mail["v:delivery"] for mail in mailgun.mails) == {"ref-0": 1, "ref-2": 1}
    assert len(gateway.asked) == 4, "together once, then one by one"


def test_text_that_looks_like_a_field_goes_alone_as_it_is(gateway: Gateway) -> None:
    gateway.play = mailgun = Mailgun()
    messages = mails(MEI, BO, GONE, "vip@example.com", "lin@example.com")
    messages[2].parts = {**messages[2].parts, "subject": "Hello %recipient.html%"}
    with channels.get("email").connect(account(gateway, "field", batch=True)) as connection:
        answers = connection.send(messages)
        first = next(answers)
        assert connection.begun == {"ref-0", "ref-1"}, "what comes after a gap has not begun"  # type: ignore[attr-defined]
        assert [one.outcome.value for one in (first, *answers)] == ["sent"] * 5
    forms = [form_of(asked) for asked in gateway.asked]
    assert [(form["subject"][0], "recipient-variables" in form) for form in forms] == [
        ("%recipient.subject%", True), ("Hello %recipient.html%", False), ("%recipient.subject%", True),
    ]  # fmt: skip
    assert [mail["v:delivery"] for mail in mailgun.mails] == [f"ref-{n}" for n in range(5)]


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(
    ("said", "expected", "stops"),
    [
        (
            Said(429, {"message": "slow"}, (("Retry-After", "30"),)),
            Answer(Outcome.TRANSIENT, "HTTP 429", retry_at=AT + timedelta(seconds=30)),
            True,
        ),
        (Said(503, b"busy"), Answer(Outcome.TRANSIENT, "HTTP 503"), True),
        (Said(500, b"oops"), Answer(Outcome.UNKNOWN, "HTTP 500"), False),
        (Said(200, b"<html>log in</html>"), Answer(Outcome.UNKNOWN, "HTTP 200"), False),
        (Said(200, {"id": "<x>", "message": "Mailgun Magnificent API"}), Answer(Outcome.UNKNOWN, "HTTP 200"), False),
        (DROP, Answer(Outcome.UNKNOWN, "ConnectionError"), False),
    ],
)
def test_only_an_explicit_answer_is_one(
    gateway: Gateway, batch: bool, said: Said, expected: Answer, stops: bool
) -> None:
    gateway.play = lambda asked: said
    answers = send(account(gateway, "odd", batch=batch), mails(MEI, BO))
    rest = Answer(Outcome.NOT_BEGUN) if stops and not batch else expected
    assert answers == [expected, rest]
    assert len(gateway.asked) == (1 if batch or stops else 2), "nothing is sent twice"


def test_silence_is_unknown_and_a_closed_door_is_not(gateway: Gateway) -> None:
    gateway.play = lambda asked: HOLD
    assert send(account(gateway, "slow", timeout=0.3), mails(MEI)) == [Answer(Outcome.UNKNOWN, "ReadTimeout")]
    nowhere = account(gateway, "none", api_url="http://127.0.0.1:1/v3")
    assert send(nowhere, mails(MEI, BO)) == [Answer(Outcome.TRANSIENT, "ConnectError"), Answer(Outcome.NOT_BEGUN)]


@pytest.mark.parametrize("batch", [False, True])
def test_a_wrong_key_costs_no_message(gateway: Gateway, batch: bool) -> None:
    gateway.play = Mailgun()
    sender = account(gateway, f"wrong-{batch}", api_key="wr0ng", batch=batch)
    answers = send(sender, mails(MEI, BO))
    assert {one.outcome for one in answers} <= {Outcome.TRANSIENT, Outcome.NOT_BEGUN}
    assert answers[0] == Answer(Outcome.TRANSIENT, "HTTP 401")
    with pytest.raises(ChannelError, match="refuses the account: HTTP 401") as raised:
        send(sender, mails(MEI))
    assert raised.value.permanent
    assert len(gateway.asked) == 1


def test_settings_are_told_before_anything_is_sent(gateway: Gateway) -> None:
    for given, expected in (
        ({"esp": ""}, "'esp' is empty"),
        ({"esp": "pigeon"}, "anymail pigeon: ModuleNotFoundError"),
        ({"esp": "postmark", "batch": True}, "a batch through 'postmark' needs the setting 'template'"),
    ):
        with pytest.raises(ChannelError, match=expected) as raised:
            send(account(gateway, "missing", **given), mails(MEI))
        assert raised.value.permanent
    assert gateway.asked == []


# --- Postmark: a template stored there, and an answer for each ---


def postmark(asked: Asked) -> Said:
    """POST /email/batchWithTemplates, /email/withTemplate/ and /email: 200 with one answer for each message."""
    if asked.headers.get("x-postmark-server-token") != KEY:
        return Said(401, {"ErrorCode": 10, "Message": "Bad or missing Server API token."})
    single = not isinstance(asked.json, list) and "Messages" not in asked.json
    messages = [asked.json] if single else asked.json["Messages"]
    answers = [told(message["To"]) for message in messages]
    if single:
        return Said(422 if answers[0]["ErrorCode"] else 200, answers[0])
    return Said(200, answers)


def told(to: str) -> dict[str, Any]:
    bare = to.rpartition("<")[2].rstrip(">")
    if bare == GONE:
        message = (
            "You tried to send to a recipient that has been marked as inactive.\n"
            f"Found inactive addresses: {bare}.\n"
            "Inactive recipients are ones that have generated a hard bounce or a spam complaint."
        )
        return {"ErrorCode": 406, "Message": message}
    if bare == BAD:
        return {"ErrorCode": 300, "Message": f"Invalid 'To' address: '{bare}'."}
    return {"ErrorCode": 0, "Message": "OK", "MessageID": f"id-{bare}", "To": to, "SubmittedAt": "2026-11-02T10:00:00Z"}


def stored(gateway: Gateway, key: str, **settings: Any) -> Sender:
    given = {"esp": "postmark", "server_token": KEY, "api_url": gateway.url, "template": "carrier", **settings}
    return Sender(f"postmark-{key}", "anymail", "shop@example.com", "", given)


def test_a_batch_with_a_stored_template_has_an_answer_for_each(gateway: Gateway) -> None:
    gateway.play = postmark
    assert send(stored(gateway, "each", batch=True), mails(MEI, GONE, BAD, BO)) == [
        Answer(Outcome.SENT, "sent", f"id-{MEI}"),
        Answer(Outcome.PERMANENT, "rejected"),
        Answer(Outcome.PERMANENT, "invalid", bounce=Bounce.HARD),
        Answer(Outcome.SENT, "sent", f"id-{BO}"),
    ]
    assert [asked.path for asked in gateway.asked] == ["/email/batchWithTemplates"]
    first = gateway.asked[0].json["Messages"][0]
    assert (first["TemplateAlias"], first["Metadata"]) == ("carrier", {"delivery": "ref-0"})
    assert first["TemplateModel"] == {
        "subject": "Hello 0", "html": "<p>Hello <b>0</b> & co</p>", "text": "Hello 0",
    }  # fmt: skip
    assert {one["Name"]: one["Value"] for one in first["Headers"]}["List-Unsubscribe"] == "<https://shop.example/u/0>"


def test_a_batch_of_which_all_are_refused_keeps_its_answers(gateway: Gateway) -> None:
    gateway.play = postmark
    assert send(stored(gateway, "none", batch=True), mails(GONE, BAD)) == [
        Answer(Outcome.PERMANENT, "rejected"),
        Answer(Outcome.PERMANENT, "invalid", bounce=Bounce.HARD),
    ]


# --- on the whole way ---


@pytest.mark.django_db(transaction=True)
def test_a_slow_batch_is_settled_whole_and_sent_once(
    gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailgun = Mailgun()

    def slow(asked: Asked) -> Said:
        time.sleep(0.4)
        return mailgun(asked)

    gateway.play = slow
    monkeypatch.setattr(sending_verb, "FRESH", 0.3)  # the call ends after what may begin has to have begun
    monkeypatch.setenv("MAILGUN_KEY", KEY)
    settings = {
        "esp": "mailgun", "api_key_env": "MAILGUN_KEY", "sender_domain": DOMAIN, "api_url": f"{gateway.url}/v3",
        "batch": True,
    }  # fmt: skip
    row = make_account("mail", transport="anymail", settings=settings)
    row.settings = settings
    row.save(update_fields=["settings"])
    monkeypatch.setattr(sending_verb, "_speeds", {row.pk: 100.0})
    queue_to(make_readers(5, now=now), make_version(now=now), now=now)
    send_due(worker="test", now_fn=lambda: now, render=render_plainly)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"accepted"}
    assert Attempt.objects.count() == 5
    refs = {str(ref) for ref in Delivery.objects.values_list("public_id", flat=True)}
    assert Counter(mail["v:delivery"] for mail in mailgun.mails) == dict.fromkeys(refs, 1)
    assert len(gateway.asked) == 1


def test_a_throttle_spares_what_does_not_fit_into_the_call(gateway: Gateway) -> None:
    gateway.play = script(Said(503), Said(503))
    sender = account(gateway, "pieces", batch=True)
    messages = mails(MEI, BO, GONE)
    messages[2].parts = {"subject": "Only text", "text": "x"}
    assert send(sender, messages) == [
        Answer(Outcome.TRANSIENT, "HTTP 503"), Answer(Outcome.TRANSIENT, "HTTP 503"), Answer(Outcome.NOT_BEGUN),
    ]  # fmt: skip
    assert len(gateway.asked) == 1
