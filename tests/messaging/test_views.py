"""Recipients' pages: GET shows, only the right POST acts, exactly that topic and address, in their language."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from messaging import tokens
from messaging.answers import settle_clicks
from messaging.links import open_url, page_url
from messaging.models import Address, Click, Consent, Delivery
from messaging.permission import address_for, give_consent
from messaging.tokens import Purpose
from segments.facts import names
from segments.models import Event
from tests.messages import make_topic
from tests.messaging.mails import (
    BROWSER,
    CHINESE,
    HTML,
    ONE_LINK,
    draft,
    hrefs,
    path_of,
    publish,
    render,
    sent,
    unsubscribe_path,
)
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def browser(**headers: str) -> Client:
    return Client(enforce_csrf_checks=True, HTTP_USER_AGENT=BROWSER, **headers)


def mei(html: str = HTML, **fields: Any) -> Delivery:
    person = make_profile(email="mei@example.com", first_name="Mei", **fields)
    row = sent(person, publish(html))
    for topic in ("offers", "news"):
        make_topic(topic)
        give_consent(row.address_id or 0, topic, now=NOW, source="form")
    return row


def state(row: Delivery) -> tuple[list[str], list[str]]:
    address = Address.objects.get(pk=row.address_id)
    return address.consents, address.refusals


# leaving


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("headers", [{}, {"HTTP_PURPOSE": "prefetch"}, {"HTTP_SEC_PURPOSE": "prefetch;prerender"}])
def test_looking_at_the_unsubscribe_page_changes_nothing(method: str, headers: dict[str, str]) -> None:
    row = mei()
    answer = getattr(browser(**headers), method)(unsubscribe_path(row) + "?List-Unsubscribe=One-Click&confirm=yes")
    assert answer.status_code == 200
    assert state(row) == (["news", "offers"], [])
    assert not Consent.objects.filter(action="withdrawn").exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(method: str) -> None:
    row = mei()
    assert getattr(browser(), method)(unsubscribe_path(row)).status_code == 405
    assert state(row) == (["news", "offers"], [])


@pytest.mark.parametrize(
    ("body", "source"),
    [({"List-Unsubscribe": "One-Click"}, "one-click"), ({"confirm": "yes"}, "unsubscribe page")],
)
def test_the_right_post_leaves_that_topic_once(body: dict[str, str], source: str) -> None:
    row = mei()
    other = sent(make_profile(email="bo@example.com"), row.version, prefix="bo")
    give_consent(other.address_id or 0, "offers", now=NOW, source="form")
    for _ in range(3):
        answer = browser().post(unsubscribe_path(row), body)
        assert answer.status_code == 200
        assert not answer.cookies
    assert state(row) == (["news"], ["offers"])
    assert state(other) == (["offers"], [])
    said = Consent.objects.get(action="withdrawn")
    assert (said.topic, said.source, said.at) == ("offers", source, NOW)
    fact = Event.objects.get(name=names.UNSUBSCRIBED)
    assert fact.properties == {"channel": "email", "topic": "offers", "delivery": str(row.public_id)}
    row.refresh_from_db()
    assert row.reached == Delivery.Reached.UNSUBSCRIBED


def test_one_click_works_as_url_encoded_text_as_rfc_8058_sends_it() -> None:
    row = mei()
    answer = browser().post(
        unsubscribe_path(row), b"List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
    )
    assert (answer.status_code, state(row)) == (200, (["news"], ["offers"]))


@pytest.mark.parametrize("body", [{}, {"List-Unsubscribe": "x"}, {"confirm": "no"}, {"topic": "news"}])
def test_an_empty_or_wrong_post_only_shows(body: dict[str, str]) -> None:
    row = mei()
    assert browser().post(unsubscribe_path(row), body).status_code == 200
    assert state(row) == (["news", "offers"], [])


def test_a_message_without_topic_leaves_everything() -> None:
    person = make_profile(email="mei@example.com")
    row = sent(person, publish(klass="transactional", topic=""))
    browser().post(unsubscribe_path(row), {"confirm": "yes"})
    assert state(row) == ([], ["*"])


def test_the_pages_speak_the_recipients_language() -> None:
    row = mei(locale="zh-CN")
    for path in (unsubscribe_path(row), path_of(page_url(Purpose.PREFERENCES, row.pk, row.address_id))):
        page = browser(HTTP_ACCEPT_LANGUAGE="en").get(path).content.decode()
        assert 'lang="zh-Hans"' in page
    assert "确认退订" in browser(HTTP_ACCEPT_LANGUAGE="en").get(unsubscribe_path(row)).content.decode()
    assert "已退订" in browser().post(unsubscribe_path(row), {"confirm": "yes"}).content.decode()


def test_the_pages_mask_the_address_and_run_no_script() -> None:
    row = mei()
    for path in (unsubscribe_path(row), path_of(page_url(Purpose.PREFERENCES, row.pk, row.address_id)), "/u/forged"):
        answer = browser().get(path)
        page = answer.content.decode()
        assert "mei@example.com" not in page
        assert "<script" not in page
        assert "http://" not in page.replace("http://127.0.0.1:8000", "")
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert "script-src" not in answer["Content-Security-Policy"]
        assert answer["Cache-Control"] == "no-store, private"
        assert answer["Referrer-Policy"] == "no-referrer"
    assert "m•••@example.com" in browser().get(unsubscribe_path(row)).content.decode()


@pytest.mark.parametrize("letter", ["c", "u", "p", "v"])
def test_every_wrong_token_gets_the_same_page(letter: str) -> None:
    row = mei()
    good = tokens.make(Purpose.UNSUBSCRIBE, row.pk, row.address_id)
    wrong = {"x", good[:-1], good + "A", tokens.make(Purpose.INBOX, row.pk, row.address_id), "0-0." + "A" * 43}
    wrong |= set() if letter == "u" else {good}
    answers = {
        (answer.status_code, re.sub(r'nonce="[^"]+"', "", answer.content.decode()))
        for answer in map(browser().get, [f"/{letter}/{token}" for token in wrong])
    }
    assert len(answers) == 1
    assert answers.pop()[0] == 404
    assert browser().post(f"/{letter}/{good[:-1]}", {"confirm": "yes"}).status_code in (404, 405, 403)
    assert state(row) == (["news", "offers"], [])


def test_the_address_that_got_the_mail_is_left_even_when_the_person_has_another_now() -> None:
    row = mei()
    row.profile.email = "new@example.com"
    row.profile.save()
    address = address_for(row.profile, "email", NOW)
    assert address is not None
    give_consent(address, "offers", now=NOW, source="form")
    browser().post(unsubscribe_path(row), {"confirm": "yes"})
    address.refresh_from_db()
    assert (state(row)[1], address.refusals) == (["offers"], [])


# clicks and opens


def test_a_persons_click_in_a_mail_with_one_link_is_a_fact_at_once() -> None:
    row = mei(ONE_LINK, timezone="UTC")
    url = hrefs(render(row).parts["html"])[0]
    assert browser().get(path_of(url)).status_code == 302
    fact = Event.objects.get(name=names.MESSAGE_CLICKED)
    assert fact.occurred_at == NOW
    assert fact.properties["delivery"] == str(row.public_id)
    assert fact.properties["template"] == "hello"
    assert fact.properties["url"].startswith("https://shop.example/new?utm_source=shop&")
    row.refresh_from_db()
    assert (row.reached, row.clicked_at) == (Delivery.Reached.CLICKED, NOW)
    assert Address.objects.get(pk=row.address_id).last_engaged_at == NOW


def test_with_more_links_it_waits_two_seconds(clock: Any) -> None:
    row = mei()
    url = hrefs(render(row).parts["html"])[0]
    browser().get(path_of(url))
    assert not Event.objects.filter(name=names.MESSAGE_CLICKED).exists()
    assert settle_clicks(NOW + timedelta(seconds=1.9)) == {"human": 0, "machine": 0}
    assert settle_clicks(NOW + timedelta(seconds=2)) == {"human": 1, "machine": 0}
    assert settle_clicks(NOW + timedelta(seconds=4)) == {"human": 0, "machine": 0}
    assert Event.objects.get(name=names.MESSAGE_CLICKED).occurred_at == NOW


@pytest.mark.parametrize(
    ("headers", "method", "why"),
    [
        ({}, "head", "head"),
        ({"HTTP_USER_AGENT": "Mozilla/5.0"}, "get", "bare"),
        ({"HTTP_USER_AGENT": ""}, "get", "bare"),
        ({"HTTP_USER_AGENT": "Barracuda Sentinel (EE)"}, "get", "crawler"),
        ({"HTTP_USER_AGENT": "python-requests/2.32"}, "get", "crawler"),
        ({"HTTP_SEC_PURPOSE": "prefetch"}, "get", "prefetch"),
        ({"HTTP_X_MOZ": "prefetch"}, "get", "prefetch"),
    ],
)
def test_machines_are_marked_and_start_nothing(headers: dict[str, str], method: str, why: str) -> None:
    row = mei(ONE_LINK)
    url = hrefs(render(row).parts["html"])[0]
    client = Client(**{"HTTP_USER_AGENT": BROWSER, **headers})
    assert getattr(client, method)(path_of(url)).status_code == 302
    client.get(path_of(open_url(row.pk, row.address_id))) if method == "get" else None
    assert set(Click.objects.values_list("machine", "why")) == {(True, why)}
    assert not Event.objects.filter(name__in=[names.MESSAGE_CLICKED, names.MESSAGE_OPENED]).exists()
    row.refresh_from_db()
    assert (row.reached, row.clicked_at) == (Delivery.Reached.DELIVERED, None)


def test_a_click_within_two_seconds_of_sending_is_no_persons() -> None:
    row = sent(make_profile(email="a@example.com"), publish(ONE_LINK), ago=timedelta(seconds=1.9))
    browser().get(path_of(hrefs(render(row).parts["html"])[0]))
    assert Click.objects.get().why == "fast"


def test_a_scanners_burst_over_twenty_addresses_moves_nobody(clock: Any) -> None:
    version = publish()
    rows = [sent(make_profile(email=f"n{n}@example.com"), version, prefix=f"n{n}") for n in range(20)]
    for row in rows:
        give_consent(row.address_id or 0, "offers", now=NOW, source="form")
    for row in rows:
        links = hrefs(render(row).parts["html"])
        for step, url in enumerate([*links, open_url(row.pk, row.address_id)]):
            clock.move_to(NOW + timedelta(seconds=step * 0.5))
            browser().get(path_of(url))
    assert settle_clicks(NOW + timedelta(minutes=1)) == {"human": 0, "machine": 60}
    assert not Event.objects.filter(name__in=[names.MESSAGE_CLICKED, names.MESSAGE_OPENED, names.UNSUBSCRIBED]).exists()
    assert set(Delivery.objects.values_list("reached", flat=True)) == {Delivery.Reached.DELIVERED}
    assert set(Click.objects.values_list("machine", "why")) == {(True, "burst")}
    assert not Consent.objects.filter(action="withdrawn").exists()


def test_two_links_three_seconds_apart_are_a_persons(clock: Any) -> None:
    row = mei()
    first, second, _ = hrefs(render(row).parts["html"])
    browser().get(path_of(first))
    clock.shift(3)
    browser().get(path_of(second))
    assert settle_clicks(NOW + timedelta(seconds=10)) == {"human": 2, "machine": 0}
    assert Event.objects.filter(name=names.MESSAGE_CLICKED).count() == 2


def test_opens_are_one_fact_however_often(clock: Any) -> None:
    row = mei(ONE_LINK)
    pixel = path_of(open_url(row.pk, row.address_id))
    for _ in range(3):
        answer = browser().get(pixel)
        clock.shift(60)
    assert answer["Content-Type"] == "image/gif"
    assert Event.objects.filter(name=names.MESSAGE_OPENED).count() == 1
    row.refresh_from_db()
    assert (row.reached, row.opened_at) == (Delivery.Reached.OPENED, NOW)
    assert browser().get("/o/forged.gif").content == answer.content


def test_an_open_ends_the_doubt() -> None:
    row = mei(ONE_LINK)
    Delivery.objects.filter(pk=row.pk).update(state="in_doubt")
    Client(HTTP_USER_AGENT="Mozilla/5.0").get(path_of(open_url(row.pk, row.address_id)))
    row.refresh_from_db()
    assert (row.state, row.reached) == ("accepted", Delivery.Reached.DELIVERED)


def test_a_click_on_an_erased_message_still_leads_on() -> None:
    row = mei(ONE_LINK)
    url = path_of(hrefs(render(row).parts["html"])[0])
    row.delete()
    assert browser().get(url)["Location"].startswith("https://shop.example/new")
    assert not Click.objects.exists()


def test_hostile_headers_are_kept_as_data() -> None:
    row = mei(ONE_LINK)
    url = path_of(hrefs(render(row).parts["html"])[0])
    client = Client(HTTP_USER_AGENT="<script>\x00\ud800" + "x" * 5000, REMOTE_ADDR="not an address")
    assert client.get(url, HTTP_X_FORWARDED_FOR="evil\r\nx").status_code == 302
    click = Click.objects.get()
    assert (click.user_agent[:9], len(click.user_agent), click.ip) == ("<script>�", 400, None)


# view in browser


def test_view_in_browser_stands_alone() -> None:
    row = mei(CHINESE, locale="zh-Hans")
    answer = browser().get(path_of(page_url(Purpose.VIEW, row.pk, row.address_id)))
    assert "您好 Mei" in answer.content.decode()
    policy = answer["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups ")
    assert "allow-same-origin" not in policy
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert answer["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("state", ["planned", "held", "skipped", "render_failed", "cancelled"])
def test_what_was_not_sent_cannot_be_viewed(state: str) -> None:
    row = mei()
    Delivery.objects.filter(pk=row.pk).update(state=state)
    assert browser().get(path_of(page_url(Purpose.VIEW, row.pk, row.address_id))).status_code == 404


def test_values_are_escaped_where_they_are_shown() -> None:
    person = make_profile(email="x@example.com", first_name="<script>alert(1)</script>\x02l0\x02{{ 7*7 }}")
    row = sent(person, publish())
    page = browser().get(path_of(page_url(Purpose.VIEW, row.pk, row.address_id))).content.decode()
    assert "<script" not in page
    assert "Hello &lt;script&gt;alert(1)&lt;/script&gt;l0{{ 7*7 }}" in page


# the recipient's inbox


def inbox_message(person: Any, n: int = 0) -> Delivery:
    content = {
        "en": {"title": "Gift", "body": '<p>Hi {{ profile.first_name }}</p><a href="https://shop.example">go</a>'}
    }
    template = draft(key=f"inbox-{n}", channel="inbox", klass="transactional", content=content)
    template.save()
    from messaging.publish import publish_template

    return sent(person, publish_template(template, now=NOW), prefix=f"i{n}")


def test_the_inbox_lists_and_marks_read_for_its_own_person_only() -> None:
    person, other = make_profile(first_name="Mei"), make_profile(first_name="Bo")
    row, foreign = inbox_message(person), inbox_message(other, 1)
    client = browser(HTTP_AUTHORIZATION=f"Bearer {tokens.inbox_token(person.pk, now=NOW)}")
    said = client.get("/inbox/messages").json()
    assert [(one["id"], one["title"], one["read_at"]) for one in said["messages"]] == [
        (str(row.public_id), "Gift", None)
    ]
    assert said["messages"][0]["body"].startswith('<p>Hi Mei</p><a href="http://127.0.0.1:8000/c/')
    assert (said["unread"], said["before"]) == (1, None)
    assert client.post(f"/inbox/messages/{foreign.public_id}/read").status_code == 404
    assert client.post(f"/inbox/messages/{row.public_id}/read").json() == {"read": True}
    assert client.get("/inbox/messages").json()["unread"] == 0
    foreign.refresh_from_db()
    assert foreign.inbox_read_at is None


def test_the_inbox_pages() -> None:
    person = make_profile(first_name="Mei")
    version = inbox_message(person).version
    rows = [sent(person, version, prefix=f"p{n}") for n in range(60)]
    client = browser(HTTP_AUTHORIZATION=f"Bearer {tokens.inbox_token(person.pk, now=NOW)}")
    first = client.get("/inbox/messages").json()
    assert (len(first["messages"]), first["before"]) == (50, str(rows[10].public_id))
    assert len(client.get(f"/inbox/messages?before={first['before']}").json()["messages"]) == 11
    assert client.get("/inbox/messages?before=nonsense").status_code == 400


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic abc", "Bearer 1-1.AAAA"])
def test_without_a_good_token_there_is_no_inbox(header: str) -> None:
    answer = browser(HTTP_AUTHORIZATION=header).get("/inbox/messages")
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["code"] == "authentication_failed"
    assert browser().options("/inbox/messages")["Access-Control-Allow-Origin"] == "*"
