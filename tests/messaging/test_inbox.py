"""The in-app inbox: unread, expired, put away; as JSON for an app, for the product's servers, and as a page to frame."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from bs4 import BeautifulSoup
from django.test import Client

from messaging import inbox, tokens
from messaging.models import Delivery
from messaging.publish import publish_template
from messaging.views.inbox import clean
from segments.models import Profile
from tests.messaging.mails import draft, sent
from tests.people import NOW, make_key, make_profile

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def mei() -> Profile:
    return make_profile(email="mei@example.com", user_id="mei", first_name="梅", locale="zh-CN")


def note(person: Profile, n: int, body: str = "<p>Hi {{ profile.first_name }}</p>", **fields: Any) -> Delivery:
    content = {"en": {"title": f"Gift {n}", "body": body}}
    template = draft(key=f"note-{n}", channel="inbox", klass="transactional", content=content)
    template.save()
    row = sent(person, publish_template(template, now=NOW), prefix=f"n{n}")
    Delivery.objects.filter(pk=row.pk).update(**fields)
    return row


def app(person: Profile) -> Client:
    return Client(HTTP_AUTHORIZATION=f"Bearer {tokens.inbox_token(person.pk, now=NOW)}")


def page_of(person: Profile) -> str:
    return f"/inbox/page/{tokens.inbox_token(person.pk, now=NOW)}"


def soup(client: Client, path: str) -> BeautifulSoup:
    return BeautifulSoup(client.get(path).content, "html.parser")


def titles(found: BeautifulSoup) -> list[str]:
    return [" ".join(one.get_text().split()) for one in found.select("article h2")]


def test_what_is_put_away_is_seen_only_where_it_is_asked_for(mei: Profile) -> None:
    rows = [note(mei, n) for n in range(3)]
    client = app(mei)
    assert client.get("/inbox/unread").json() == {"unread": 3}
    assert client.post(f"/inbox/messages/{rows[1].public_id}/archive").json() == {"archive": True}
    assert [one["title"] for one in client.get("/inbox/messages").json()["messages"]] == ["Gift 2", "Gift 0"]
    away = client.get("/inbox/messages?archived=1").json()
    assert [(one["title"], one["archived_at"]) for one in away["messages"]] == [("Gift 1", "2026-03-02T12:00:00Z")]
    assert away["unread"] == 2
    assert client.post("/inbox/read").json() == {"read": 2}
    assert client.get("/inbox/unread").json() == {"unread": 0}
    assert client.post(f"/inbox/messages/{rows[1].public_id}/restore").json() == {"restore": True}
    assert client.get("/inbox/messages").json()["unread"] == 1
    rows[1].refresh_from_db()
    assert (rows[1].inbox_archived_at, rows[1].inbox_read_at) == (None, None)


def test_what_has_expired_is_nowhere(mei: Profile) -> None:
    old = note(mei, 0, expires_at=NOW)
    note(mei, 1, expires_at=NOW + timedelta(seconds=1))
    client = app(mei)
    said = client.get("/inbox/messages").json()
    assert [one["title"] for one in said["messages"]] == ["Gift 1"]
    assert (said["unread"], said["messages"][0]["expires_at"]) == (1, "2026-03-02T12:00:01Z")
    assert client.post(f"/inbox/messages/{old.public_id}/read").status_code == 404
    assert titles(soup(client, page_of(mei))) == ["Gift 1 新"]


def test_the_page_is_in_the_persons_language_and_its_buttons_act(mei: Profile) -> None:
    row = note(mei, 0)
    client, path = Client(HTTP_ACCEPT_LANGUAGE="en"), page_of(mei)
    first = soup(client, path)
    assert first.html is not None
    assert (first.html["lang"], titles(first)) == ("zh-Hans", ["Gift 0 新"])
    assert [one.get_text() for one in first.select("button")] == ["全部标为已读", "标为已读", "归档"]
    assert first.select("script") == []
    row.refresh_from_db()
    assert row.inbox_read_at is None, "looking is not reading"
    answer = client.post(path, {"act": "read", "message": str(row.public_id)})
    assert (answer.status_code, answer["Location"]) == (303, path)
    assert titles(soup(client, path)) == ["Gift 0"]
    client.post(path, {"act": "archive", "message": str(row.public_id)})
    assert titles(soup(client, path)) == []
    assert soup(client, path).get_text().count("暂无消息。") == 1
    assert titles(soup(client, f"{path}?archived=1")) == ["Gift 0"]
    answer = client.post(path, {"act": "restore", "message": str(row.public_id)})
    assert answer["Location"] == f"{path}?archived=1"
    assert titles(soup(client, path)) == ["Gift 0"]
    note(mei, 1)
    client.post(path, {"act": "read_all"})
    assert titles(soup(client, path)) == ["Gift 1", "Gift 0"]


def test_the_page_goes_on_with_older_messages(mei: Profile) -> None:
    version = note(mei, 0).version
    for n in range(24):
        sent(mei, version, prefix=f"p{n}")
    first = soup(Client(), page_of(mei))
    assert len(titles(first)) == 20
    older = first.find("a", string="更早的消息")
    assert older is not None
    assert len(titles(soup(Client(), str(older["href"])))) == 5
    assert Client().get(f"{page_of(mei)}?before=nonsense").status_code == 404


def test_only_named_pages_may_frame_it_and_nothing_in_it_runs(mei: Profile, settings: Any) -> None:
    note(mei, 0, '<p style="color: red">Hi <a href="https://shop.example">there</a></p>')
    closed = Client().get(page_of(mei))
    assert "frame-ancestors 'none'" in closed["Content-Security-Policy"]
    assert closed["X-Frame-Options"] == "SAMEORIGIN"
    settings.INBOX_FRAMES = ["https://shop.example"]
    open_to = Client().get(page_of(mei))
    assert "frame-ancestors https://shop.example;" in open_to["Content-Security-Policy"]
    assert "script-src" not in open_to["Content-Security-Policy"]
    assert "default-src 'none'" in open_to["Content-Security-Policy"]
    assert "X-Frame-Options" not in open_to
    body = BeautifulSoup(open_to.content, "html.parser").select_one("article div")
    assert body is not None
    assert body.p is not None
    assert body.a is not None
    assert (body.p.attrs, body.a["target"], body.a["rel"]) == ({}, "_blank", ["noopener", "noreferrer"])
    assert (open_to["Cache-Control"], open_to["Referrer-Policy"]) == ("no-store, private", "no-referrer")


def test_a_body_of_any_origin_is_harmless_in_the_page() -> None:
    hostile = '<p onclick="x()">Hi</p><script>x()</script><form action="https://evil.example"><input></form>'
    assert clean(hostile) == "<p>Hi</p>"
    assert clean('<a href="javascript:x()">y</a>') == '<a target="_blank" rel="noopener noreferrer">y</a>'


def test_times_are_those_of_the_person(mei: Profile) -> None:
    Profile.objects.filter(pk=mei.pk).update(timezone="Asia/Shanghai")
    note(mei, 0)
    found = soup(Client(), page_of(mei)).select_one("article time")
    assert found is not None
    assert (found.get_text(), found["datetime"]) == ("2026-03-02 19:55", "2026-03-02T19:55:00+08:00")


def test_another_persons_message_and_a_bad_token_are_not_there(mei: Profile) -> None:
    foreign = note(make_profile(email="bo@example.com"), 0)
    answer = Client().post(page_of(mei), {"act": "archive", "message": str(foreign.public_id)})
    assert answer.status_code == 303
    foreign.refresh_from_db()
    assert foreign.inbox_archived_at is None
    assert Client().post(page_of(mei), {"act": "archive", "message": "x"}).status_code == 404
    for token in ("x", tokens.inbox_token(mei.pk, now=NOW - timedelta(days=31))):
        assert Client().get(f"/inbox/page/{token}").status_code == 404
    Profile.objects.filter(pk=mei.pk).update(erased_at=NOW)
    assert Client().get(page_of(mei)).status_code == 404


def test_the_products_servers_get_a_token_and_say_what_a_person_did(mei: Profile) -> None:
    row = note(mei, 0)
    server = Client(HTTP_AUTHORIZATION=f"Bearer {make_key(scopes=['inbox'], now=NOW)}")

    def post(path: str) -> Any:
        return server.post(path, {"user_id": "mei"}, content_type="application/json")

    said = post("/api/inbox/token").json()
    assert said == {
        "token": tokens.inbox_token(mei.pk, now=NOW), "page": page_of(mei), "expires_at": "2026-04-01T12:00:00Z",
    }  # fmt: skip
    assert Client().get(said["page"]).status_code == 200
    assert post(f"/api/inbox/{row.public_id}/archive").status_code == 204
    assert server.get("/api/inbox?user_id=mei").json()["results"] == []
    away = server.get("/api/inbox?user_id=mei&archived=true").json()["results"]
    assert [one["title"] for one in away] == ["Gift 0"]
    assert post(f"/api/inbox/{row.public_id}/restore").status_code == 204
    assert post(f"/api/inbox/{row.public_id}/read").status_code == 204
    assert inbox.unread(mei.pk, NOW) == 0
    assert server.post(f"/api/inbox/{row.public_id}/read", {}, content_type="application/json").status_code == 400
