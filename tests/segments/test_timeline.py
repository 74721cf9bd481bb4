"""What the engine noted about a person reads as words, in both languages; what the person did, as it was sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import translation

from segments.facts import names
from segments.models import StageChange
from segments.timeline import timeline
from tests.people import make_fact, make_profile

pytestmark = pytest.mark.django_db


def told(now: datetime, name: str, language: str = "en", **properties: Any) -> tuple[str, str]:
    """Title and reason of one fact on its person's timeline."""
    person = make_profile(now=now)
    make_fact(person, name, at=now, **properties)
    with translation.override(language):
        ((moment, *_), _older) = timeline(person.pk, until=now + timedelta(days=1), only="facts")
    return moment.title, moment.why


@pytest.mark.parametrize(
    ("said", "english", "chinese"),
    [
        ({"before": "", "after": "loyal"}, "RFM cell: Loyal", "RFM 分群：忠诚客户"),
        (
            {"before": "loyal", "after": "cant_lose"},
            "RFM cell: Loyal → Can't Lose Them",
            "RFM 分群：忠诚客户 → 不能失去",
        ),
        ({"before": "loyal", "after": ""}, "RFM cell: Loyal → –", "RFM 分群：忠诚客户 → –"),
        ({"before": "loyal", "after": "of_old"}, "RFM cell: Loyal → of_old", "RFM 分群：忠诚客户 → of_old"),
    ],
)
def test_a_move_between_cells_is_told_in_words(now: datetime, said: dict[str, Any], english: str, chinese: str) -> None:
    assert told(now, names.RFM_CHANGED, **said) == (english, "")
    assert told(now, names.RFM_CHANGED, "zh-hans", **said) == (chinese, "")


@pytest.mark.parametrize(
    ("said", "english", "chinese"),
    [
        ({"from": "some"}, "Merged with another profile", "已与另一档案合并"),
        ({"undone": "some"}, "Separated from another profile again", "已与另一档案重新分开"),
    ],
)
def test_a_merge_and_its_way_back_are_told_apart(
    now: datetime, said: dict[str, Any], english: str, chinese: str
) -> None:
    assert told(now, names.MERGED, **said) == (english, "")
    assert told(now, names.MERGED, "zh-hans", **said) == (chinese, "")


def test_a_move_between_health_bands_is_told_in_words(now: datetime) -> None:
    said = {"before": "healthy", "after": "at_risk", "worse": True, "score": 31.0, "trend": -4, "reason": "score"}
    assert told(now, names.HEALTH_CHANGED, **said) == ("Health: healthy → at risk", "")


def test_the_link_of_a_click_is_told_and_what_people_did_is_told_as_sent(now: datetime) -> None:
    said = {"template": "welcome", "url": "https://shop.example.com/", "delivery": "d", "channel": "email"}
    assert told(now, names.MESSAGE_CLICKED, **said) == ("Clicked in welcome", "https://shop.example.com/")
    assert told(now, "Signed Up", plan="free", pets=["cat"]) == ("Signed Up", "plan: free")


def test_the_first_stage_has_nothing_before_it(now: datetime) -> None:
    person = make_profile(now=now)
    for before, after, days in (("", "newcomer", 2), ("newcomer", "mature", 1)):
        StageChange.objects.create(
            profile=person, at=now - timedelta(days=days), before=before, after=after, reason="no_orders"
        )
    moments, _older = timeline(person.pk, until=now, only="stages")
    assert [moment.title for moment in moments] == ["newcomer → mature", "newcomer"]
