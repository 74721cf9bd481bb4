"""The outbox, the books and an account in the admin: what they show, and what a person does there."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core import mail
from django.urls import reverse

from common.models import AuditEntry
from messaging.models import Account, Delivery, Pause, Reconciliation, TemplateVersion
from messaging.outbox.books import reconcile

LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}


def text(answer: Any) -> str:
    return BeautifulSoup(answer.content, "html.parser").get_text(" ", strip=True)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_outbox_says_how_it_stands(shop: Any, login: Any, language: str) -> None:
    page = login("viewer", language).get(reverse("admin:messaging_delivery_outbox"))
    assert page.status_code == 200
    said = text(page)
    for word in ("Due now", "Oldest due", "In doubt", "Accounts") if language == "en" else ("现在到期", "存疑", "账号"):
        assert word in said
    assert "Cancel…" not in said, "a viewer acts on nothing"


def test_many_are_cancelled_after_their_number_was_shown(shop: Any, login: Any) -> None:
    campaign = Delivery.objects.filter(state__in=["planned", "held"], ghost=False).values_list("campaign", flat=True)[0]
    count = Delivery.objects.filter(state__in=["planned", "held"], ghost=False, campaign=campaign).count()
    client, where = login("sender"), reverse("admin:messaging_delivery_bulk")
    page = client.get(where, {"action": "cancel", "campaign": campaign})
    assert f"This concerns {count} message" in text(page)
    form = {"action": "cancel", "campaign": campaign, "confirmed": str(count)}
    assert "Say why." in text(client.post(where, form))
    assert Delivery.objects.filter(state="cancelled", reason="by_hand").count() == 0
    answer = client.post(where, {**form, "reason": "wrong price"}, follow=True)
    assert f"Cancelled: {count}." in text(answer)
    assert Delivery.objects.filter(state="cancelled", reason="by_hand", campaign=campaign).count() == count
    entry = AuditEntry.objects.get(action="outbox.cancel")
    assert (entry.actor_name, entry.reason) == ("sender", "wrong price")


def test_who_may_not_is_told_so(shop: Any, login: Any) -> None:
    answer = login("viewer").post(
        reverse("admin:messaging_delivery_bulk"),
        {"action": "cancel", "confirmed": "1", "reason": "x"},
        follow=True,
    )
    assert "You may not do that." in text(answer)
    assert not AuditEntry.objects.filter(action="outbox.cancel").exists()
    answer = login("viewer").get(reverse("admin:messaging_delivery_bulk"), {"action": "x"}, follow=True)
    assert "Choose here what is to be done." in text(answer)


def test_an_account_is_paused_from_the_outbox(shop: Any, login: Any) -> None:
    key = Account.objects.values_list("key", flat=True).first()
    form = {"scope": "account", "value": key, "reason": "the provider is down"}
    login("sender").post(reverse("admin:messaging_pause_start"), form, follow=True)
    assert Pause.objects.get(scope="account", value=key, ended_at=None).reason == "the provider is down"


def test_an_account_sends_a_test_and_says_what_name_servers_say(shop: Any, login: Any) -> None:
    account = Account.objects.create(
        key="try", name="Try", channel="email", transport="backend", settings=LOCMEM, sender="Shop <shop@shop.invalid>"
    )
    client = login("sender")
    page = client.get(reverse("admin:messaging_account_change", args=[account.pk]))
    assert "Send me a test" in text(page)
    said = client.post(
        reverse("admin:messaging_account_hello", args=[account.pk]), {"to": "me@example.com"}, follow=True
    )
    assert "The test message was handed to the provider." in text(said)
    assert mail.outbox[-1].to == ["me@example.com"]
    assert AuditEntry.objects.filter(action="account.test", subject="account:try").count() == 1
    said = client.post(reverse("admin:messaging_account_hello", args=[account.pk]), {"to": "x"}, follow=True)
    assert "this channel cannot send a test there" in text(said)
    page = client.get(reverse("admin:messaging_account_names", args=[account.pk]))
    assert "_dmarc.shop.invalid" in text(page)


def test_the_books_are_kept_where_people_look(shop: Any, login: Any) -> None:
    reconcile(shop)
    client = login("viewer")
    page = client.get(reverse("admin:messaging_reconciliation_changelist"))
    assert page.status_code == 200
    row = Reconciliation.objects.order_by("-day")[0]
    Reconciliation.objects.filter(pk=row.pk).update(
        alarms=1, findings=[{"code": "twice", "count": 1, "samples": ["<b>x</b>"]}]
    )
    page = client.get(reverse("admin:messaging_reconciliation_change", args=[row.pk]))
    assert "two attempts at one message were accepted: 1 <b>x</b>" in text(page)
    assert "do not fit" in text(client.get(reverse("admin:messaging_delivery_outbox")))


def test_a_message_tells_what_people_did_to_it(shop: Any, login: Any) -> None:
    row = Delivery.objects.filter(state__in=["planned", "held"], ghost=False).first()
    if row is None:
        row = Delivery.objects.exclude(state="accepted").first()
        assert row is not None
        Delivery.objects.filter(pk=row.pk).update(state="planned", lease_token=None)
    client = login("sender")
    client.post(reverse("admin:messaging_delivery_cancel", args=[row.pk]), {"reason": "a typing error"})
    assert "a typing error" in text(client.get(reverse("admin:messaging_delivery_change", args=[row.pk])))


def test_a_templates_clicks_have_their_page(shop: Any, login: Any) -> None:
    version = TemplateVersion.objects.filter(tracked_links__isnull=False).first() or TemplateVersion.objects.first()
    assert version is not None
    page = login("viewer").get(reverse("admin:messaging_template_clicks", args=[version.template_id]))
    assert page.status_code == 200
    assert "Links in their order" in text(page)
