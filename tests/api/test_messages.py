"""One transactional message by program: written down once per key, and sent like any other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from common import clock
from messaging.fallback import fall_back
from messaging.models import Delivery, Fallback
from tests.api.callers import a_program, staff
from tests.messages import make_version
from tests.people import make_profile

pytestmark = pytest.mark.django_db
BODY = {"user_id": "mei", "template": "receipt", "variables": {"order": "A1"}}


@pytest.fixture(autouse=True)
def shop() -> None:
    now = clock.now()
    make_profile(user_id="mei", email="mei@example.com", now=now)
    make_version("receipt", klass="transactional", topic="", now=now)
    make_version("news", now=now)


def send(body: Any = BODY, key: str = "order-1", program: Any = None) -> Any:
    return (program or a_program("messages:send")).post("/api/messages", body, Idempotency_Key=key)


def codes(answer: Any) -> list[tuple[str, Any]]:
    return [(one["code"], one["attr"]) for one in answer.json()["errors"]]


def test_a_message_is_written_down_and_answered_at_once() -> None:
    answer = send()
    assert answer.status_code == 202
    row = Delivery.objects.get()
    said = answer.json()
    assert (said["public_id"], said["state"], said["template"]) == (str(row.public_id), "planned", "receipt")
    assert (row.klass, row.priority, row.context["event"]["properties"]) == ("transactional", 200, {"order": "A1"})
    assert row.expires_at is not None
    assert (row.expires_at - row.planned_at).total_seconds() == pytest.approx(86_400, abs=1)


def test_the_same_key_is_the_same_message_and_another_body_an_error() -> None:
    program = a_program("messages:send")
    first = send(program=program)
    again = send(program=program)
    assert (again.status_code, again.json()["public_id"]) == (200, first.json()["public_id"])
    make_version("receipt", klass="transactional", topic="", now=clock.now())
    assert send(program=program).status_code == 200, "a new version does not make it another message"
    other = send({**BODY, "variables": {"order": "A2"}}, program=program)
    assert (other.status_code, codes(other)) == (409, [("key_reused", None)])
    assert Delivery.objects.count() == 1
    assert send(key="order-2", program=program).status_code == 202
    assert Delivery.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_programs_that_send_at_the_same_time_write_one_message() -> None:
    """Eight at once with one key: half of them say something else, and whoever is first decides."""
    program, gate = a_program("messages:send"), Barrier(8)

    def one(n: int) -> tuple[int, str]:
        try:
            gate.wait()
            answer = send(BODY if n % 2 else {**BODY, "variables": {"order": "A2"}}, program=program)
            return int(answer.status_code), str(answer.json().get("public_id", ""))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    row = Delivery.objects.get()
    assert sorted(status for status, _ in answers) == [200, 200, 200, 202, 409, 409, 409, 409]
    assert {said for status, said in answers if status < 300} == {str(row.public_id)}


def test_two_programs_may_choose_the_same_key() -> None:
    assert [send().status_code, send().status_code] == [202, 202]


@pytest.mark.parametrize(
    ("body", "key", "status", "code"),
    [
        ({**BODY, "template": "news"}, "k", 400, ("invalid", "template")),
        ({**BODY, "template": "none"}, "k", 404, ("not_found", None)),
        ({**BODY, "user_id": "nobody"}, "k", 404, ("not_found", None)),
        ({**BODY, "expires_in": 5}, "k", 400, ("min_value", "expires_in")),
        ({**BODY, "variables": {str(n): n for n in range(101)}}, "k", 400, ("invalid", "variables")),
        (BODY, "", 400, ("invalid", "Idempotency-Key")),
        (BODY, "k" * 101, 400, ("invalid", "Idempotency-Key")),
    ],
)
def test_what_cannot_be_sent_is_told_and_nothing_is_written(body: Any, key: str, status: int, code: Any) -> None:
    answer = send(body, key)
    assert answer.status_code == status
    assert code in codes(answer)
    assert not Delivery.objects.exists()


def test_a_browser_may_not() -> None:
    answer = staff("view_delivery").post(
        "/api/messages", BODY, content_type="application/json", headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code == 401
    assert not Delivery.objects.exists()


def test_a_message_may_have_other_ways() -> None:
    now = clock.now()
    make_version("text", channel="sms", klass="transactional", topic="", now=now)
    program = a_program("messages:send")
    body = {**BODY, "template": "text", "or_else": ["receipt"]}
    assert send(body, program=program).status_code == 202
    assert send(body, program=program).status_code == 200
    make_version("text", channel="sms", klass="transactional", topic="", now=now)
    assert send(body, program=program).status_code == 200, "a new version does not make it another message"
    for other in ({**body, "or_else": []}, {**body, "or_else": ["text"]}, {**body, "variables": {}}):
        assert send(other, program=program).status_code == 409
    assert codes(send({**body, "or_else": ["news"]}, "order-2", program)) == [("invalid", "template")]
    row = Delivery.objects.get()
    assert (row.channel, Fallback.objects.get().delivery) == ("sms", row)
    Delivery.objects.update(state="skipped", reason="no_address")
    assert fall_back(now) == {"planned": 1}
    assert send(body, program=program).json()["public_id"] == str(row.public_id)
    assert Delivery.objects.latest("pk").channel == "email"
