"""Back-tests by page and by program: asked for, watched, stopped, read, and by whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from campaigns.install import install_recipe
from campaigns.models import Journey, Rehearsal
from common import clock
from common.models import ApiKey
from messaging.models import Account
from tests.people import make_profile

pytestmark = pytest.mark.django_db(transaction=True)
RESULT: dict[str, Any] = {
    "people": {"sampled": 250, "population": 2469},
    "span": {"since": "2026-01-01T00:00:00+00:00", "until": "2026-01-31T00:00:00+00:00", "step": 60},
    "refused_facts": 2,
    "totals": {
        "entered": {"sample": 89, "estimate": 878.96, "low": 739.7, "high": 1018.2},
        "cost": {"sample": 12345, "estimate": 121000.2, "low": 99000, "high": 143000},
    },
    "days": [{"day": "2026-01-03", "entered": 3, "sent": {"email": 4, "sms": 1}}],
    "refusals": {"cooldown": 10},
    "steps": {"remind": {"entered": 71, "passed": 60, "ended": 0, "dropped": 8, "waiting": 3, "converted": 9}},
    "messages": [
        {"node": "remind", "channel": "email", "state": "accepted", "reason": "", "ghost": False, "n": 60},
        {
            "node": "remind",
            "channel": "email",
            "state": "skipped",
            "reason": "no_consent:offers",
            "ghost": False,
            "n": 7,
        },
    ],
    "crowded": {"mine": {"cap:email:week": 5}, "others": {"vip-perks": 2}},
    "others": {"vip-perks": 31},
    "coupons": [{"pool": "winback-offer", "given": 24, "free": None}],
    "parked": [],
}


def login(role: str) -> Client:
    user = get_user_model().objects.create_user(f"{role}-1", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client(headers={"accept-language": "zh-hans"})
    client.force_login(user)
    return client


@pytest.fixture
def journey() -> Journey:
    made = install_recipe("churn-winback", now=clock.now() - timedelta(days=60)).journey
    assert made is not None
    return made


def test_an_author_asks_watches_and_stops(journey: Journey) -> None:
    client = login("author")
    ask = reverse("admin:campaigns_rehearsal_ask", args=[journey.pk])
    assert "该旅程还没有回测过" in client.get(ask).text
    wrong = client.post(ask, {"days": "400", "people": "100", "step_minutes": "60"})
    assert wrong.status_code == 200
    assert 'role="alert"' in wrong.text
    assert not Rehearsal.objects.exists()
    client.post(ask, {"days": "30", "people": "100", "step_minutes": "60"})
    row = Rehearsal.objects.get()
    assert (row.state, row.days, row.people, row.asked_by and row.asked_by.username) == ("queued", 30, 100, "author-1")
    page = client.get(reverse("admin:campaigns_rehearsal_change", args=[row.pk])).text
    assert "等待工作进程" in page
    progress = client.get(reverse("admin:campaigns_rehearsal_progress", args=[row.pk]))
    assert "HX-Refresh" not in progress.headers
    client.post(reverse("admin:campaigns_rehearsal_cancel", args=[row.pk]))
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert client.get(reverse("admin:campaigns_rehearsal_progress", args=[row.pk]))["HX-Refresh"] == "true"


def test_what_came_of_it_is_told_in_words(journey: Journey) -> None:
    now = clock.now()
    row = Rehearsal.objects.create(
        journey=journey, draft=journey.draft, until=now, asked_at=now, state="done", progress=1, result=RESULT
    )
    page = login("viewer").get(reverse("admin:campaigns_rehearsal_change", args=[row.pk])).text
    for said in (
        "2469 人中有 250 人走过",
        "879",
        "740 – 1,018",
        "1,210.00 USD",
        "vip-perks",
        "winback-offer",
        "不限量",
    ):
        assert said in page, said
    assert "未同意：offers" in page
    assert "2 条事实无法重现" in page
    assert page.count("<code>offer-coupon</code>") == 1, "a step that nobody reached is shown as well"


def test_who_may_only_look_may_not_ask(journey: Journey) -> None:
    client = login("viewer")
    assert client.get(reverse("admin:campaigns_rehearsal_ask", args=[journey.pk])).status_code == 403
    assert client.get(reverse("admin:campaigns_rehearsal_changelist")).status_code == 200


def test_by_program(journey: Journey) -> None:
    _, asks = ApiKey.issue("asks", ["journeys:rehearse"], now=clock.now())
    _, reads = ApiKey.issue("reads", ["journeys:read"], now=clock.now())
    client, where = Client(), f"/api/journeys/{journey.key}"

    def call(key: str, method: str, path: str, body: Any = None) -> Any:
        send = getattr(client, method)
        return send(where + path, body, content_type="application/json", headers={"authorization": f"Bearer {key}"})

    assert call(reads, "post", "/rehearse", {}).status_code == 403
    assert call(asks, "post", "/rehearse", {"days": 0}).status_code == 400
    made = call(asks, "post", "/rehearse", {"days": 7, "people": 50})
    assert (made.status_code, made.json()["state"], made.json()["step_minutes"]) == (200, "queued", 60)
    one = f"/rehearsals/{made.json()['id']}"
    assert call(reads, "get", one).json()["result"] == {}
    assert [row["id"] for row in call(reads, "get", "/rehearsals").json()["results"]] == [made.json()["id"]]
    assert call(asks, "post", one + "/cancel").json()["state"] == "cancelled"
    assert call(asks, "post", one + "/cancel").status_code == 409
    assert call(reads, "get", "/rehearsals/999999").status_code == 404


def test_a_dry_run_by_page_and_by_program(journey: Journey) -> None:
    make_profile(email="lin@example.com", user_id="lin", now=clock.now())
    Account.objects.create(key="mail", name="Mail", channel="email", transport="smtp", is_default=True)
    client, where = login("author"), reverse("admin:campaigns_rehearsal_dry", args=[journey.pk])
    assert "填写一个人" in client.get(where).text
    assert 'role="alert"' in client.post(where, {"person": "nobody@example.com", "days": "5"}).text
    page = client.post(where, {"person": "lin@example.com", "days": "5", "fact_0": "Seen", "after_0": "1"}).text
    assert "<code>remind</code>" in page
    assert "<code>winback-reminder</code>" in page
    assert "未同意：offers" in page
    _, key = ApiKey.issue("asks", ["journeys:rehearse"], now=clock.now())
    said = Client().post(
        f"/api/journeys/{journey.key}/dry-run", {"person": "lin", "days": 5}, content_type="application/json",
        headers={"authorization": f"Bearer {key}"},
    )  # fmt: skip
    assert said.status_code == 200, said.text
    assert [one["node"] for one in said.json()["steps"]] == ["remind", "return"]
    assert said.json()["messages"][0]["reason"] == "no_consent:offers"
