"""Whatever reason the engine stores with a walk, a visit or a gift is read as a sentence, in both languages."""

from __future__ import annotations

import pytest
from django.utils import translation

from campaigns.reasons import WORDS, in_words
from messaging.reasons import WORDS as OF_MESSAGES
from segments import reasons
from segments.facts import names
from segments.facts.words import WORDS as FACTS


@pytest.mark.parametrize(
    ("stored", "english", "chinese"),
    [
        ("present:2026-03-01T09:00:00Z", "was in the segment when the journey was published", "旅程发布时已在分群中"),
        ("slot:2026-03-01T09:00:00Z", "the schedule's turn at 2026-03-01T09:00:00Z", "定时批次：2026-03-01T09:00:00Z"),
        ("fact:@segment_entered", "because of: came into a segment", "来由：进入分群"),
        ("fact:Order Completed", "because of: Order Completed", "来由：Order Completed"),
        ("goal:paid", "reached the goal paid", "达成目标 paid"),
        ("once", "not let in: was in the journey before", "未进入：曾经进入过该旅程"),
        ("fact:@badge_awarded; no coupon left in 'gold'", "because of: got a badge; no coupon was left in gold",
         "来由：获得徽章; gold 的优惠券已领完"),
        ("held out: ghost message", "held out: nothing was sent or given", "对照组：未发送，也未发放"),
        ("quiet_hours", "quiet hours where the person is", "用户所在地处于免打扰时段"),
        ("He asked us to: stop", "He asked us to: stop", "He asked us to: stop"),
        ("", "", ""),
    ],
)  # fmt: skip
def test_a_reason_of_a_walk_is_a_sentence(stored: str, english: str, chinese: str) -> None:
    assert in_words(stored) == english
    with translation.override("zh-hans"):
        assert in_words(stored) == chinese


@pytest.mark.parametrize(
    ("stored", "english", "chinese"),
    [
        ("journey:vip:gift", "by the journey vip, step gift", "来自旅程 vip 的步骤 gift"),
        ("refund of A-1", "refund of the order A-1", "订单 A-1 退款"),
        ("expired", "they expired", "已过期"),
        ("a birthday present", "a birthday present", "a birthday present"),
    ],
)
def test_a_reason_of_points_is_a_sentence(stored: str, english: str, chinese: str) -> None:
    assert reasons.in_words(stored) == english
    with translation.override("zh-hans"):
        assert reasons.in_words(stored) == chinese


def test_every_fact_of_the_engine_has_a_name() -> None:
    stated = {value for value in vars(names).values() if isinstance(value, str) and len(value) > 1 and value[0] == "@"}
    assert set(FACTS) == stated
    assert not set(WORDS) & set(OF_MESSAGES), "one key, one sentence"
