"""Double opt-in in one click: a yes by a form is pending, asked for at the address, and counts from the press."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import transaction
from django.test import Client

from messaging.asking import ask_all, confirm_url
from messaging.consents import read_consents
from messaging.models import Address, Consent, Delivery
from messaging.outbox.send import send_due
from messaging.permission import give_consent, suppress, withdraw
from messaging.publish import publish_template
from messaging.starters import install_starter
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.models import Profile
from tests.messages import make_account, make_topic
from tests.messaging.gated import LOCMEM
from tests.messaging.mails import BROWSER, hrefs, path_of
from tests.people import NOW, make_profile, make_source
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


@pytest.fixture
def mei() -> Profile:
    make_account(transport="backend", settings=LOCMEM)
    make_topic("offers", name_zh="优惠", confirmation="confirm-subscription")
    publish_template(install_starter("confirm-subscription")[0], now=NOW)
    return make_profile(email="mei@example.com")


def says(person: Profile, key: str = "a", name: str = "Subscribed", **properties: object) -> None:
    said = {"topic": "offers", "wording": "2026-01", **properties}
    with transaction.atomic():
        append_facts(
            [NewFact(person.pk, person.shard, name, NOW, key, make_source("web").pk, properties=said)], now=NOW
        )
    settle_log()
    read_consents(NOW)


def standing() -> tuple[list[str], list[str]]:
    return Address.objects.values_list("consents", "refusals").get(value="mei@example.com")


def asked() -> str:
    """The path of the page that the mail asks to open."""
    assert ask_all(NOW) == 1
    assert send_due(worker="test", now_fn=lambda: NOW).states == {"accepted": 1}
    message = mail.outbox[-1]
    assert isinstance(message, mail.EmailMultiAlternatives)
    links = [link for link in hrefs(str(message.alternatives[0][0])) if "/y/" in link or "/c/" in link]
    with time_machine.travel(NOW + timedelta(minutes=3), tick=False):
        link = path_of(links[0])
        return path_of(Client(HTTP_USER_AGENT=BROWSER).get(link)["Location"]) if "/c/" in link else link


def browse(method: str, path: str, *, at: Any = NOW + HOUR, **body: str) -> str:
    with time_machine.travel(at, tick=False):
        client = Client(enforce_csrf_checks=True, HTTP_USER_AGENT=BROWSER)
        return str(getattr(client, method)(path, body).content.decode())


def test_from_the_form_to_the_press(mei: Profile) -> None:
    says(mei)
    assert standing() == ([], []), "pending means nothing"
    pending = Consent.objects.get()
    assert (pending.action, pending.purpose) == ("pending", "marketing")
    page = asked()
    assert "Yes, please" in browse("get", page)
    assert standing() == ([], []), "looking means nothing"
    browse("head", page)
    browse("post", page, confirm="no")
    assert standing() == ([], [])
    assert "Thank you" in browse("post", page, confirm="yes")
    assert standing() == (["offers"], [])
    given = Consent.objects.get(action="given")
    assert (given.source, given.wording, given.at) == ("confirmation", "2026-01", NOW + HOUR)
    assert given.evidence["confirms"] == pending.pk
    assert given.evidence["asked"] == pending.evidence
    assert given.evidence["user_agent"] == BROWSER


def test_the_same_link_again_changes_nothing_also_after_a_later_no(mei: Profile) -> None:
    says(mei)
    page = asked()
    for _ in range(2):
        assert "Thank you" in browse("post", page, confirm="yes")
    withdraw(Address.objects.get(), "offers", now=NOW + 2 * HOUR, source="link")
    assert "too old" in browse("post", page, at=NOW + 3 * HOUR, confirm="yes")
    assert standing() == ([], ["offers"])
    assert Consent.objects.filter(action="given").count() == 1


def test_after_three_days_the_link_is_too_old(mei: Profile) -> None:
    says(mei)
    page = asked()
    assert "too old" in browse("post", page, at=NOW + 72 * HOUR, confirm="yes")
    assert standing() == ([], [])


def test_nobody_is_asked_twice_a_day_or_when_they_agreed(mei: Profile) -> None:
    for key in "abc":
        says(mei, key)
    assert Consent.objects.count() == 1
    assert [ask_all(NOW), ask_all(NOW)] == [1, 0]
    give_consent(Address.objects.get(), "offers", now=NOW, source="form")
    says(mei, "d")
    assert Consent.objects.filter(action="pending").count() == 1


def test_a_topic_without_confirmation_is_agreed_to_at_once_and_a_no_needs_none(mei: Profile) -> None:
    make_topic("news")
    says(mei, "a", topic="news")
    says(mei, "b", "Unsubscribed")
    assert standing() == (["news"], ["offers"])
    assert ask_all(NOW) == 0


def test_whom_the_question_would_not_reach_is_not_asked(mei: Profile) -> None:
    says(mei)
    suppress(Address.objects.get(), "complaint", NOW)
    assert ask_all(NOW) == 0
    Address.objects.update(suppressed="")
    Profile.objects.update(email="new@example.com")
    assert ask_all(NOW) == 0
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("change", [lambda url: url[:-1], lambda url: url + "A", lambda url: url.replace("/y/", "/p/")])
def test_a_forged_link_is_none(mei: Profile, change: Any) -> None:
    says(mei)
    row = Consent.objects.get()
    page = path_of(change(confirm_url(row.pk, row.address_id)))
    assert "does not work" in browse("post", page, confirm="yes")
    assert standing() == ([], [])


def test_the_page_speaks_chinese_to_a_chinese_reader(mei: Profile) -> None:
    Profile.objects.update(locale="zh-CN")
    says(mei)
    page = browse("get", path_of(confirm_url(Consent.objects.get().pk, Address.objects.get().pk)))
    assert re.search(r"确认让我们向 m•••@example.com 发送“优惠”吗", page)
