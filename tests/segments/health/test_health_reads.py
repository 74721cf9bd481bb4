"""Health explained part by part, in both languages, and people by band."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from segments.health_reads import BandCount, band_flow, changes_of, explain_health, people_by_band
from segments.health_rules import choose_rules
from segments.health_scores import judge_all
from segments.models import Health, HealthChange
from tests.people import NOW, make_fact
from tests.segments.health.test_metrics import UTC, known, ticket

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def test_the_parts_add_up_to_the_score_and_say_themselves(django_assert_num_queries: Any) -> None:
    features = ["Product Viewed", "a", "b", "c"]
    choose_rules({"params": {"adoption": {"features": features}}, "trend_weeks": 4}, now=NOW, zone=UTC)
    mei = known()
    for number in range(12):
        make_fact(mei, "Product Viewed", at=NOW - number * DAY)
    ticket(mei, 1, 12, 11)
    ticket(mei, 2, 12, 3)
    judge_all(NOW)
    with django_assert_num_queries(1):
        found = explain_health(mei.pk, "en")
    assert found is not None
    assert [(p.key, p.value, p.points, p.low, p.high) for p in found.parts] == [
        ("activity", 13, 65, 0, 20), ("adoption", 0.25, 25, 0, 1), ("service", 50, 50, 0, 100),
        ("satisfaction", None, None, 0, 100),
    ]  # fmt: skip
    assert [p.said for p in found.parts] == [
        "13 active days in the last 28", "1 of 4 key features in the last 28 days", "50% of tickets answered in time", "",
    ]  # fmt: skip
    assert (found.coverage, found.weeks, found.band, found.label) == (0.9, 4, "watch", "to watch")
    parts = [p.contribution for p in found.parts if p.contribution is not None]
    assert sum(parts) == pytest.approx(found.score, abs=1e-3)
    assert parts[0] == pytest.approx(0.40 * 65 / 0.9)
    chinese = explain_health(mei.pk, "zh-hans")
    assert chinese is not None
    assert [(p.title, p.said) for p in chinese.parts] == [
        ("活跃度", "最近 28 天活跃 13 天"), ("功能渗透", "最近 28 天使用 1/4 个关键功能"),
        ("服务响应", "50% 的工单及时答复"), ("满意度", ""),
    ]  # fmt: skip
    assert chinese.label == "需关注"
    assert explain_health(mei.pk + 1, "en") is None


def test_a_part_without_weight_is_not_told() -> None:
    choose_rules({"weights": {"service": 0, "satisfaction": 0}}, now=NOW, zone=UTC)
    mei = known()
    judge_all(NOW)
    found = explain_health(mei.pk, "en")
    assert found is not None
    assert [(p.key, p.contribution) for p in found.parts] == [("activity", 0), ("adoption", 0)]
    assert (found.score, found.coverage) == (0, 1)


def test_people_by_band_and_how_they_moved(django_assert_num_queries: Any) -> None:
    people = [known(f"p{n}@example.com") for n in range(4)]
    rows = [("healthy", 80.0, 10.0), ("healthy", 90.0, -2.0), ("at_risk", 10.0, None), ("", None, None)]
    for person, (band, score, trend) in zip(people, rows, strict=True):
        Health.objects.create(profile=person, band=band, score=score, trend=trend, computed_at=NOW)
    with django_assert_num_queries(1):
        assert people_by_band() == [
            BandCount("healthy", "healthy", 2, 85, 4), BandCount("watch", "to watch", 0, None, None),
            BandCount("at_risk", "at risk", 1, 10, None), BandCount("", "", 1, None, None),
        ]  # fmt: skip
    for day, before, after in ((0, "watch", "healthy"), (1, "healthy", "watch"), (2, "healthy", "watch")):
        HealthChange.objects.create(profile=people[0], at=NOW + day * DAY, before=before, after=after, reason="score")
    assert band_flow(since=NOW, until=NOW + 2 * DAY) == {("healthy", "watch"): 2}
    assert [change.after for change in changes_of(people[0].pk, limit=2)] == ["watch", "watch"]


@pytest.mark.parametrize(
    ("language", "said"), [("en", "13 active days in the last 28"), ("zh-hans", "最近 28 天活跃 13 天")]
)
def test_the_page_of_a_person_tells_the_parts(language: str, said: str) -> None:
    mei = known()
    for number in range(13):
        make_fact(mei, "Product Viewed", at=NOW - number * DAY)
    judge_all(NOW)
    client = Client(headers={"accept-language": language})
    client.force_login(User.objects.create_superuser("root"))
    text = client.get(f"/admin/segments/profile/{mei.pk}/change/").content.decode()
    found = explain_health(mei.pk, language)
    assert found is not None
    (activity, *_) = found.parts
    share = {"en": f"{activity.contribution:.1f} of the score", "zh-hans": f"贡献 {activity.contribution:.1f} 分"}
    assert f"{said} · {share[language]}" in text
    assert ("需关注" in text) == (language == "zh-hans")
