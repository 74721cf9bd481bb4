"""Missions in the admin: the form speaks both languages as it is filled in, and people's progress is seen."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.urls import reverse

from segments.growth.ledger import earn
from segments.models import Award, Badge, Level, Mission, MissionProgress, Privilege
from tests.admin.seed import make_users
from tests.people import NOW, make_profile

FORM = {
    "key": "week", "name": "A week of reading", "name_zh": "阅读一周", "fact": "Page Read", "filter": "{}",
    "measure": "streak", "sum__property": "", "streak__grace": "1", "target": "7", "period": "ever", "repeats": "",
    "points": "50", "badge": "", "active": "on",
}  # fmt: skip


@pytest.fixture
def author(login: Any, db: None) -> Any:
    """Return the client of somebody who writes."""
    make_users()
    return login("author")


def test_the_sentence_is_said_in_both_languages_while_the_form_is_filled_in(author: Any) -> None:
    url = reverse("admin:segments_mission_sentence")
    page = BeautifulSoup(author.post(url, FORM).content, "html.parser")
    assert [one.text for one in page.select("p")] == [
        "Do “Page Read” 7 days in a row (missing one day is forgiven): earns 50 points, each time.",
        "连续 7 天完成“Page Read”（允许漏 1 天）：获得50 积分，每次达成都有。",
    ]
    wrong = BeautifulSoup(author.post(url, FORM | {"streak__grace": "9", "target": "0"}).content, "html.parser")
    assert len(wrong.select("p.p-bad")) == 2
    assert "Days in a row: days of grace" in wrong.text


def test_a_mission_is_saved_with_its_measure_and_a_changed_rule_is_a_new_version(author: Any) -> None:
    answer = author.post(reverse("admin:segments_mission_add"), FORM, follow=True)
    assert answer.status_code == 200
    mission = Mission.objects.get()
    assert (mission.measure, mission.how, mission.target, mission.repeats, mission.version) == (
        "streak", {"grace": 1}, 7, None, 1,
    )  # fmt: skip
    url = reverse("admin:segments_mission_change", args=[mission.pk])
    author.post(url, FORM | {"name": "Read for a week"})
    author.post(url, FORM | {"streak__grace": "2"})
    mission.refresh_from_db()
    assert (mission.how, mission.version) == ({"grace": 2}, 2)
    field = BeautifulSoup(author.get(url).content, "html.parser").select_one("[name=streak__grace]")
    assert field is not None
    assert field["value"] == "2"
    page = author.post(url, FORM | {"measure": "sum", "sum__property": "p" * 201})
    assert page.status_code == 200
    mission.refresh_from_db()
    assert mission.measure == "streak"


def test_the_page_of_a_person_shows_how_far_everything_has_come(author: Any) -> None:
    mei = make_profile(user_id="mei")
    gold = Level.objects.create(key="gold", name="Gold", name_zh="金卡", rank=2, threshold=100)
    Level.objects.create(key="top", name="Diamond", rank=3, threshold=500)
    Privilege.objects.create(level=gold, key="ship", name="Free shipping", name_zh="免运费")
    mission = Mission.objects.create(key="m", name="Three reviews", fact="Reviewed", target=3)
    MissionProgress.objects.create(mission=mission, profile=mei, version=1, count=2)
    Award.objects.create(badge=Badge.objects.create(key="b", name="Critic"), profile=mei, key="k", at=NOW)
    earn(mei.pk, 120, key="a", reason="order", now=NOW)
    url = reverse("admin:segments_profile_change", args=[mei.pk])
    text = " ".join(BeautifulSoup(author.get(url).content, "html.parser").text.split())
    for said in ("Gold", "380 points to Diamond", "Free shipping", "Critic", "Three reviews", "2 / 3"):
        assert said in text
    chinese = author.get(url, headers={"accept-language": "zh-hans"}).content.decode()
    assert "免运费" in chinese
    assert "距 Diamond 还差 380 积分" in chinese
    listed = author.get(reverse("admin:segments_missionprogress_changelist")).content.decode()
    assert "Three reviews" in listed
