"""Data from outside is hostile: payloads in every text of the database must reach no page as markup."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from django.db import models

from common.models import AuditEntry, Parked
from messaging.models import Click, Delivery, Receipt
from segments.models import Event, Order, Profile, RejectedRow, Segment, StageChange, Trait
from tests.admin.walk import pages

PAYLOAD = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}"
RAW = re.compile(r"<img src=x|<script>alert\(2\)|onerror=alert\(1\)>", re.IGNORECASE)


@pytest.fixture(scope="module")
def poisoned(shop: datetime, django_db_blocker: Any) -> None:
    """Write the payload into every free text that a stranger, a provider or a browser can fill."""
    with django_db_blocker.unblock():
        for model, fields in {
            Profile: ("first_name", "last_name", "city", "timezone", "locale", "country"),
            Event: ("name", "key"),
            Order: ("coupon_code",),
            RejectedRow: ("reason", "path", "payload", "code"),
            Click: ("user_agent", "why"),
            Receipt: ("provider",),
            Delivery: ("reason", "node", "variant"),
            StageChange: ("reason",),
            Parked: ("reason",),
            AuditEntry: ("reason", "actor_name"),
            Segment: ("last_error",),
        }.items():
            for name in fields:
                _write(model, name)
        Profile.objects.update(traits={PAYLOAD: PAYLOAD, "list": [PAYLOAD]})
        Event.objects.update(properties={PAYLOAD: PAYLOAD}, context={"page": {"referrer": PAYLOAD}})
        Delivery.objects.update(context={"coupon": {"code": PAYLOAD}}, utm={PAYLOAD: PAYLOAD})
        Trait.objects.update(examples=[PAYLOAD])


def _write(model: type[models.Model], name: str) -> None:
    field = model._meta.get_field(name)
    longest = getattr(field, "max_length", None) or 400
    if model is Event and name == "key":
        return  # unique; the name carries the payload
    model._default_manager.update(**{name: PAYLOAD[:longest]})


def test_no_page_shows_a_payload_as_markup(poisoned: None, login: Any) -> None:
    client, shown = login("root"), 0
    for page in pages():
        if "GET" not in page.methods:
            continue
        answer = client.get(page.url)
        assert answer.status_code < 500, page.url
        if "html" not in answer.get("Content-Type", ""):
            continue
        html = answer.content.decode()
        assert not RAW.search(html), page.url
        shown += "&lt;img src=x" in html
    assert shown > 12


def test_the_timeline_and_the_dashboard_escape_too(poisoned: None, login: Any) -> None:
    client = login("root")
    for url in ("/admin/", f"/admin/segments/profile/{Profile.objects.first().pk}/timeline/"):  # type: ignore[union-attr]
        assert not RAW.search(client.get(url).content.decode())


def test_a_csv_runs_no_formula(poisoned: None, login: Any) -> None:
    answer = login("viewer").get("/admin/reports/utm-conversions/?format=csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    for line in answer.content.decode().splitlines():
        assert not re.search(r'(^|,)"?[=+@-][A-Za-z]', line), line
