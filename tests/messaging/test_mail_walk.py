"""A starter message from publish to the mailbox, its link clicked, its one-click taken, in both languages."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client

from messaging.models import Address, Delivery
from messaging.outbox.send import send_due
from messaging.publish import publish_template
from messaging.starters import install_starter
from segments.facts import names
from segments.models import Event
from tests.messages import make_account, make_readers, make_topic, queue_to
from tests.messaging.mails import BROWSER, UTM, hrefs, path_of
from tests.people import NOW

pytestmark = pytest.mark.django_db
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}


@pytest.mark.parametrize(("locale", "subject"), [("en-GB", "Welcome, N0 –"), ("zh-CN", "N0，欢迎加入")])
def test_a_starter_message_reaches_the_mailbox_and_answers_come_back(locale: str, subject: str) -> None:
    make_topic("offers")
    make_account(transport="backend", settings=LOCMEM)
    person = make_readers(1, now=NOW, locale=locale)[0]
    template, _ = install_starter("new-user-welcome")
    version = publish_template(template, now=NOW)
    coupon = {"coupon": {"code": "HI-1", "expires_at": "2026-04-01"}}
    queue_to([person], version, now=NOW, utm=UTM, context=coupon, journey="gift", node="hello")
    assert send_due(worker="test", now_fn=lambda: NOW).states == {"accepted": 1}
    message = mail.outbox[0]
    assert message.subject.startswith(subject)
    html = message.alternatives[0][0]
    assert "HI-1" in html
    assert "HI-1" in message.body
    assert ("1 April 2026" if locale == "en-GB" else "2026年4月1日") in html
    links = hrefs(html)
    with time_machine.travel(NOW + timedelta(minutes=3), tick=False):
        answer = Client(HTTP_USER_AGENT=BROWSER).get(path_of(links[0]))
        assert answer["Location"] == (
            "http://127.0.0.1:8000/new?utm_source=shop&utm_medium=email&utm_campaign=spring&utm_id=c1&utm_content=hi"
        )
        one_click = message.extra_headers["List-Unsubscribe"].strip("<>")
        assert message.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        Client(enforce_csrf_checks=True).post(path_of(one_click), {"List-Unsubscribe": "One-Click"})
    fact = Event.objects.get(name=names.MESSAGE_CLICKED)
    assert (fact.profile_id, fact.properties["journey"], fact.properties["node"]) == (person.pk, "gift", "hello")
    row = Delivery.objects.get()
    assert (row.state, row.reached) == ("accepted", Delivery.Reached.UNSUBSCRIBED)
    assert Address.objects.get(pk=row.address_id).refusals == ["offers"]
