"""Where a person stands, for servers by key and for the person's own app by token: that person's only, to read only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from rest_framework.throttling import SimpleRateThrottle

from segments.growth import coupons, ledger, pools
from segments.models import Award, Badge, Benefit, Coupon, CouponPool, Level, Mission, MissionProgress, Privilege
from segments.tokens import LIFE, standing_token
from tests.people import NOW, make_key, make_profile

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock() -> Any:
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield
    cache.clear()


@pytest.fixture
def mei() -> Any:
    """Gold by 120 points, 20 of them until day 9; two of three reviews, a badge and a coupon."""
    person = make_profile(user_id="mei", locale="zh-CN")
    gold = Level.objects.create(key="gold", name="Gold", name_zh="金卡", rank=2, threshold=100)
    Level.objects.create(key="top", name="Diamond", name_zh="钻石", rank=3, threshold=500)
    benefit = Benefit.objects.create(
        key="five", name="5 off", name_zh="减五元", kind="amount", amount=500, currency="CNY"
    )
    Privilege.objects.create(level=gold, key="ship", name="Free shipping", name_zh="免运费", benefit=benefit)
    mission = Mission.objects.create(key="three", name="Three reviews", name_zh="三条评论", fact="Reviewed", target=3)
    MissionProgress.objects.create(mission=mission, profile=person, version=1, count=2)
    Award.objects.create(badge=Badge.objects.create(key="b", name="Critic"), profile=person, key="k", at=NOW)
    ledger.earn(person.pk, 100, key="a", reason="order", now=NOW)
    ledger.earn(person.pk, 20, key="b", reason="order", now=NOW, expires_at=NOW + timedelta(days=9))
    ledger.earn(person.pk, 7, key="c", reason="order", now=NOW, available_at=NOW + timedelta(days=2))
    pools.generate(CouponPool.objects.create(key="welcome", name="Welcome", benefit=benefit), 5)
    coupons.claim("welcome", [coupons.Claim(person.pk, "mine")], now=NOW, reason="r")
    return person


def ask(token: str, query: str = "", **headers: str) -> Any:
    return Client().get(f"/growth/mine{query}", headers={"Authorization": f"Bearer {token}", **headers})


def test_a_servers_key_makes_the_token_by_which_the_app_reads_its_own_person(mei: Any) -> None:
    other = make_profile(user_id="bo")
    ledger.earn(other.pk, 999, key="o", reason="order", now=NOW)
    server = Client(headers={"Authorization": f"Bearer {make_key(scopes=['growth'])}"})
    made = server.post("/api/growth/token", {"user_id": "mei"}, content_type="application/json").json()
    said = ask(made["token"]).json()
    assert said["points"] == {
        "active": 120, "owed": 0, "pending": 7,
        "expiring": [{"points": 20, "at": "2026-03-11T12:00:00Z"}],
        "coming": [{"points": 7, "at": "2026-03-04T12:00:00Z"}],
    }  # fmt: skip
    level = said["level"]
    assert (level["level"], level["next"]) == ({"key": "gold", "name": "金卡"}, {"key": "top", "name": "钻石"})
    assert (level["missing_to_keep"], level["missing_to_next"], level["earned"]) == (
        100,
        380,
        120,
    )  # to be earned again
    assert level["privileges"] == [
        {"key": "ship", "name": "免运费", "benefit": {"kind": "amount", "amount": 500, "currency": "CNY"}}
    ]
    (mission,) = said["missions"]
    assert (mission["name"], mission["count"], mission["target"], mission["over"]) == ("三条评论", 2, 3, False)
    assert mission["text"] == "完成“Reviewed” 3 次：获得暂无奖励，一次。"
    assert [one["key"] for one in said["badges"]] == ["b"]
    code = Coupon.objects.get(profile=mei).code
    assert [(one["code"], one["name"], one["state"]) for one in said["coupons"]] == [(code, "减五元", "assigned")]
    by_key = server.get("/api/growth", {"user_id": "mei", "language": "en"}).json()
    assert by_key["level"]["level"] == {"key": "gold", "name": "Gold"}
    assert by_key["points"] == said["points"]
    english = ask(made["token"], "?language=en").json()
    assert english["missions"][0]["text"] == "Do “Reviewed” 3 times: earns nothing yet, once."


def test_no_other_token_opens_it_and_no_token_writes(mei: Any) -> None:
    good = standing_token(mei.pk, now=NOW)
    body, _, mac = good.partition(".")
    number, _, issued = body.partition("-")
    old = standing_token(mei.pk, now=NOW - LIFE - timedelta(seconds=1))
    early = standing_token(mei.pk, now=NOW + timedelta(seconds=1))
    forged = [f"{int(number, 16) + 1:x}-{issued}.{mac}", good[:-1], "", "x" * 300, "é", old, early]
    key = make_key(scopes=["growth"])
    for token in [*forged, key]:
        answer = ask(token)
        assert answer.status_code == 401, token
        assert answer["Access-Control-Allow-Origin"] == "*"
    assert Client().get(f"/growth/mine?token={good}").status_code == 401
    assert Client(headers={"Authorization": f"Bearer {good}"}).get("/api/growth?user_id=mei").status_code == 401
    for verb in ("post", "put", "patch", "delete"):
        assert getattr(Client(), verb)("/growth/mine", headers={"Authorization": f"Bearer {good}"}).status_code == 405
    assert ask(good, "?user_id=bo").status_code == 400
    assert ask(good).status_code == 200


def test_a_merged_persons_token_reads_the_survivor_and_an_erased_persons_nothing(mei: Any) -> None:
    gone = make_profile(anonymous_id="a1", merged_into=mei)
    assert ask(standing_token(gone.pk, now=NOW)).json()["points"]["active"] == 120
    token = standing_token(mei.pk, now=NOW)
    type(mei).objects.filter(pk=mei.pk).update(erased_at=NOW)
    assert ask(token).status_code == 401


def test_any_page_may_ask_and_no_cache_keeps_the_answer(mei: Any) -> None:
    answer = Client().options("/growth/mine", headers={"Origin": "https://shop.example.com"})
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Headers"] == "Authorization, Accept-Language"
    answer = ask(standing_token(mei.pk, now=NOW))
    assert (answer["Access-Control-Allow-Origin"], answer["Cache-Control"]) == ("*", "no-store")
    assert "Access-Control-Allow-Credentials" not in answer


def test_each_person_has_a_rate_of_their_own(mei: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {**SimpleRateThrottle.THROTTLE_RATES, "person": "2/min"})
    bo = make_profile(user_id="bo")
    busy, calm = (standing_token(one.pk, now=NOW) for one in (mei, bo))
    assert [ask(busy).status_code for _ in range(3)] == [200, 200, 429]
    assert ask(calm).status_code == 200


def test_who_has_nothing_reads_zeros(django_assert_max_num_queries: Any) -> None:
    bo = make_profile(user_id="bo")
    token = standing_token(bo.pk, now=NOW)
    with django_assert_max_num_queries(20):
        said = ask(token).json()
    assert said["points"] == {"active": 0, "owed": 0, "pending": 0, "expiring": [], "coming": []}
    assert (said["level"]["level"], said["level"]["next"]) == (None, None)
    assert (said["badges"], said["missions"], said["coupons"]) == ([], [], [])
