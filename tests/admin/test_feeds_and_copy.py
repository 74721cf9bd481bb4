"""Feeds and copy drafts in the admin: errors at their field, asking, approving and using, each under its own right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.urls import reverse
from django.utils import timezone

from common.models import AuditEntry
from messaging.copywriting.asking import answer_due
from messaging.feed import kept
from messaging.models import CopyRequest, Feed, FeedValue, Template, Voice
from tests.messaging.feeds import FeedServer, feed_server, known_here, make_feed
from tests.messaging.models_server import GOOD, Model, model_server

ADD = reverse("admin:messaging_feed_add")
ASK = reverse("admin:messaging_copyrequest_ask")
FORM = {
    "name": "News", "name_zh": "新闻", "key": "news", "active": "on", "url": "https://api.shop.example/news", "headers": "{}",
    "pick": "", "ttl": "300", "stale": "86400", "timeout": "2000", "fallback": "", "sample": "",
}  # fmt: skip


@pytest.fixture
def model(settings: Any) -> Iterator[Model]:
    with model_server(settings) as running:
        yield running


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedServer]:
    """The feed server, whose name this machine's resolver knows for the length of a test."""
    known_here(monkeypatch)
    with feed_server(settings) as running:
        yield running


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def errors(answer: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = answer.context["adminform"].form.errors
    return found


def test_a_feed_is_added_with_its_audit_row(shop: Any, login: Any, settings: Any) -> None:
    settings.FEED_HOSTS = ["api.shop.example"]
    url = "https://api.shop.example/news?l={locale}&c={profile.city}"
    answer = login("root").post(ADD, {**FORM, "url": url, "headers": '{"Authorization_env": "FEED_SHOP_KEY"}'})
    assert answer.status_code == 302, errors(answer)
    feed = Feed.objects.get(key="news")
    assert (feed.fallback, feed.sample, feed.headers) == (None, None, {"Authorization_env": "FEED_SHOP_KEY"})
    entry = AuditEntry.objects.get(action="feed.added")
    assert (entry.subject, entry.detail["sends"]) == ("feed:news", ["locale", "profile.city"])
    page = BeautifulSoup(login("viewer").get(reverse("admin:messaging_feed_changelist")).content, "html.parser")
    row = page.select_one("#result_list tbody tr").get_text(" ", strip=True)  # type: ignore[union-attr]
    assert "{{ feeds.news }}" in row
    assert "profile.city" in row
    assert "not asked yet" in row


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("key", "News-1", "Small letters"),
        ("url", "https://evil.example/", "not in FEED_HOSTS"),
        ("url", "http://api.shop.example/", "only https"),
        ("url", "https://{profile.city}.shop.example/", "never in the host"),
        ("url", "https://api.shop.example/{settings.KEY}", "no variable"),
        ("headers", '{"Authorization": "Bearer s3cret"}', "No secret is typed here"),
        ("headers", '{"Authorization_env": "SECRET_KEY"}', "begins with FEED_"),
        ("headers", '{"Host": "evil.example"}', "cannot be set"),
        ("headers", '{"X-A\\r\\nHost": "x"}', "cannot be set"),
        ("headers", '{"X-A": "x\\r\\nHost: evil"}', "one line"),
        ("headers", '["x"]', "names with texts"),
        ("ttl", "1", "greater than or equal to 10"),
        ("timeout", "60000", "less than or equal to 5000"),
        ("fallback", "{broken", "Not JSON"),
    ],
)
def test_what_is_wrong_with_a_feed_stands_at_its_field(
    shop: Any, login: Any, settings: Any, field: str, value: str, reason: str
) -> None:
    settings.FEED_HOSTS = ["api.shop.example"]
    answer = login("root").post(ADD, {**FORM, field: value})
    assert answer.status_code == 200
    assert list(errors(answer)) == [field]
    assert any(reason in text for text in errors(answer)[field]), errors(answer)
    assert not Feed.objects.filter(name="News").exists()


def test_a_changed_address_forgets_what_the_old_one_said(shop: Any, login: Any, settings: Any) -> None:
    settings.FEED_HOSTS = ["api.shop.example"]
    feed = make_feed("news", FORM["url"], failures=7, error="HTTP 500")
    kept.keep(feed, {feed.url: {"n": 1}}, timezone.now())
    where = reverse("admin:messaging_feed_change", args=[feed.pk])
    answer = login("root").post(where, {**FORM, "url": "https://api.shop.example/other"})
    assert answer.status_code == 302, errors(answer)
    feed.refresh_from_db()
    assert (feed.failures, feed.error, FeedValue.objects.count()) == (0, "", 0)


def test_asking_now_keeps_a_sample_and_tells_an_error(shop: Any, login: Any, server: FeedServer) -> None:
    server.says("/w", {"sky": "clear"})
    feed = make_feed("weather", server.url("/w?c={profile.city}"), sample=None)
    where = reverse("admin:messaging_feed_ask", args=[feed.pk])
    assert said(login("author").post(where, follow=True)) == ["It answered; the answer is kept as the sample."]
    feed.refresh_from_db()
    assert (feed.sample, server.paths) == ({"sky": "clear"}, ["/w?c=Suzhou"])
    server.says("/w", {}, 302, Location="http://127.0.0.1/")
    assert said(login("author").post(where, follow=True)) == ["No answer to use: HTTP 302 (a redirect is not followed)"]
    assert said(login("author", "zh-hans").post(where, follow=True)) == ["没有可用的回答：HTTP 302（不跟随重定向）"]
    page = login("viewer", "zh-hans").get(reverse("admin:messaging_feed_changelist")).content.decode()
    assert "HTTP 302（不跟随重定向）" in page
    assert login("viewer").post(where).status_code == 403
    assert len(server.asked) == 3


def test_authors_may_look_at_feeds_and_not_change_them(shop: Any, login: Any) -> None:
    make_feed("news", "https://api.shop.example/")
    assert login("author").get(ADD).status_code == 403
    assert login("author").get(reverse("admin:messaging_feed_changelist")).status_code == 200


# Copy.


def test_without_a_model_the_page_says_so_and_asks_nothing(shop: Any, login: Any, settings: Any) -> None:
    settings.COPY_URL = settings.COPY_MODEL = ""
    page = BeautifulSoup(login("author").get(ASK).content, "html.parser")
    assert "No model is configured" in page.select_one(".p-note-box--warn").text  # type: ignore[union-attr]
    assert page.select_one("form.p-card button").has_attr("disabled")  # type: ignore[union-attr]
    template = Template.objects.get(key="winback-offer")
    answer = login("author").post(ASK, {"template": template.pk, "locales": ["en"], "wanted": 2})
    assert "no model is configured" in answer.content.decode()
    assert not CopyRequest.objects.filter(template=template).exists()


def test_copy_goes_from_the_question_to_the_draft_by_three_people(shop: Any, login: Any, model: Model) -> None:
    template = Template.objects.get(key="vip-perk")
    Voice.objects.create(locale="en", text="Plain and warm.")
    answer = login("author").post(
        ASK, {"template": template.pk, "locales": ["en", "zh-Hans"], "segments": ["vip"], "brief": "Thank them", "wanted": 2},
        follow=True,
    )  # fmt: skip
    assert said(answer) == ["Asked: 2. The answers appear here within a minute or two."]
    assert model.asked == []
    answer_due(timezone.now(), most=5)
    assert len(model.asked) == 2
    row = CopyRequest.objects.get(locale="en")
    draft, where = row.drafts.get(), reverse("admin:messaging_copyrequest_change", args=[row.pk])
    page = BeautifulSoup(login("author").get(where).content, "html.parser")
    assert GOOD["subject"] in page.select_one(f"[data-draft='{draft.pk}']").text  # type: ignore[union-attr]
    assert "Tea & cake" in page.text
    assert page.select("form[action*='approve']") == []
    for verb in ("approve", "refuse"):
        assert login("author").post(reverse(f"admin:messaging_copyrequest_{verb}", args=[draft.pk])).status_code == 403
    use = reverse("admin:messaging_copyrequest_use", args=[draft.pk])
    assert said(login("author").post(use, follow=True)) == ["It is decided already, or not approved."]
    assert login("approver").post(use).status_code == 403
    approved = login("approver").post(reverse("admin:messaging_copyrequest_approve", args=[draft.pk]), follow=True)
    assert said(approved) == ["Approved. An author may put it into the draft."]
    assert said(login("author").post(use, {"whole": "yes"}, follow=True)) == [
        "The words are in the draft. Look at it, and publish."
    ]
    template.refresh_from_db()
    assert template.content["en"]["subject"] == GOOD["subject"]
    assert "Tea &amp; cake" in template.content["en"]["mjml"]
    draft.refresh_from_db()
    assert (draft.state, str(draft.decided_by), str(draft.used_by)) == ("used", "approver", "author")


def test_what_is_wrong_with_a_question_stands_in_the_form(shop: Any, login: Any, model: Model, settings: Any) -> None:
    settings.COPY_DAY_REQUESTS = 1
    template = Template.objects.order_by("pk")[0]
    answer = login("author").post(ASK, {"template": template.pk, "locales": ["en", "zh-Hans"], "wanted": 9})
    assert answer.context["form"].errors == {"wanted": ["Ensure this value is less than or equal to 5."]}
    answer = login("author", "zh-hans").post(ASK, {"template": template.pk, "locales": ["en", "zh-Hans"], "wanted": 2})
    assert answer.context["form"].non_field_errors() == ["今天的提问次数已用完（COPY_DAY_REQUESTS）"]
    assert model.asked == []


def test_a_failed_question_says_why(shop: Any, login: Any, model: Model) -> None:
    model.says({"error": {"message": "Incorrect API key"}}, 401)
    login("author").post(ASK, {"template": Template.objects.order_by("pk")[0].pk, "locales": ["en"], "wanted": 1})
    answer_due(timezone.now())
    row = CopyRequest.objects.get(locale="en")
    where = reverse("admin:messaging_copyrequest_change", args=[row.pk])
    page = BeautifulSoup(login("viewer").get(where).content, "html.parser")
    assert page.select_one(".p-note-box--bad").text == "the key is refused (HTTP 401: Incorrect API key)"  # type: ignore[union-attr]
    assert "Nothing was proposed" in page.select_one(".p-empty").text  # type: ignore[union-attr]
    assert login("nobody").get(where).status_code == 403
    assert row.drafts.count() == 0
