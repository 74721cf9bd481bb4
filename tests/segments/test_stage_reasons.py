"""Why somebody changed stage: kept as a key and numbers, told in the language of the reader."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.translation import override

from segments.models import Scores, StageChange
from segments.stage_reasons import in_words, pack, unpack
from segments.timeline import timeline
from tests.people import NOW, make_profile


@pytest.mark.parametrize(
    ("key", "numbers", "stored", "english", "chinese"),
    [
        ("no_orders", {}, "no_orders", "no orders", "没有订单"),
        ("ordered", {"orders": 1, "silent": 0}, "ordered:orders=1,silent=0",
         "1 order, the last today", "1 个订单，最近一个在今天"),
        ("ordered", {"orders": 1200000, "silent": 1}, "ordered:orders=1200000,silent=1",
         "1,200,000 orders, the last 1 day ago", "1200000 个订单，最近一个在 1 天前"),
        ("silent_own", {"orders": 4, "silent": 47, "limit": 46.5}, "silent_own:orders=4,silent=47,limit=46.5",
         "4 orders, silent for 47 days, more than 46.5 by the own rhythm", "4 个订单，已沉默 47 天，超过自身节奏的 46.5 天"),
        ("silent_usual", {"orders": 1, "silent": 1, "limit": 0.5}, "silent_usual:orders=1,silent=1,limit=0.5",
         "1 order, silent for 1 day, more than 0.5 by everybody's rhythm", "1 个订单，已沉默 1 天，超过总体节奏的 0.5 天"),
    ],
)  # fmt: skip
def test_a_reason_goes_in_as_numbers_and_comes_out_as_a_sentence(
    key: str, numbers: dict[str, float], stored: str, english: str, chinese: str
) -> None:
    assert pack(key, numbers) == stored
    assert unpack(stored) == (key, numbers)
    assert (in_words(stored, "en"), in_words(stored, "zh-hans")) == (english, chinese)
    with override("zh-hans"):
        assert in_words(stored) == chinese


@pytest.mark.parametrize(
    "text",
    ["", "4 orders, silent for 33 days", "ordered", "silent_own:orders=4,silent=3", "ordered:<b>", "moved:orders=1"],
)
def test_what_is_none_of_ours_stays_as_it_was_stored(text: str) -> None:
    assert (in_words(text, "en"), in_words(text, "zh-hans")) == (text, text)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "4 orders, silent for 33 days, more than 31 by the own rhythm"),
        ("zh-hans", "4 个订单，已沉默 33 天，超过自身节奏的 31 天"),
    ],
)
def test_timeline_and_page_tell_it_in_the_readers_language(language: str, said: str) -> None:
    mei = make_profile()
    Scores.objects.create(profile=mei, stage="at_risk", stage_since=NOW, computed_at=NOW)
    reason = "silent_own:orders=4,silent=33,limit=31"
    StageChange.objects.create(profile=mei, at=NOW, before="growing", after="at_risk", reason=reason)
    with override(language):
        (moment,) = timeline(mei.pk, until=NOW.replace(year=2027), only="stages")[0]
        assert moment.why == said
        client = Client(headers={"accept-language": language})
        client.force_login(User.objects.create_superuser("root"))
        text = client.get(f"/admin/segments/profile/{mei.pk}/change/").content.decode()
    assert text.count(said) == 2  # beside the stage, and on the timeline
    assert "silent_own" not in text


@pytest.mark.django_db
def test_the_reason_of_another_stage_is_not_told_of_this_one() -> None:
    from segments.overview import stage_reason

    mei = make_profile()
    assert stage_reason(mei.pk, "prospect") == ""
    StageChange.objects.create(profile=mei, at=NOW, after="growing", reason="ordered:orders=3,silent=0")
    assert (stage_reason(mei.pk, "growing"), stage_reason(mei.pk, "lapsed")) == ("ordered:orders=3,silent=0", "")
