"""Touches: human clicks and UTM visits from the log, each once, whatever the order of their coming."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.models import Conversion, Touch
from campaigns.touches import channel_of
from segments.models import Cursor
from tests.campaigns.stories import (
    click,
    make_campaign,
    make_delivery,
    make_goal,
    order,
    read_all,
    say,
    visit,
)
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def seen() -> list[tuple[str, str, str, str]]:
    rows = Touch.objects.order_by("at", "id")
    return [(row.kind, row.channel, row.campaign, row.content) for row in rows]


def test_a_click_becomes_a_touch_with_the_utm_of_its_message() -> None:
    mei = make_profile()
    delivery = make_delivery(mei)
    click(mei, delivery, NOW)
    read_all()
    touch = Touch.objects.get()
    assert (touch.source, touch.medium, touch.campaign, touch.content, touch.utm_id) == (
        "shop",
        "email",
        "winback",
        "hero",
        "c-1",
    )
    assert (touch.profile_id, touch.at, touch.delivery, touch.channel) == (mei.pk, NOW, delivery.pk, "email")


def test_the_utm_of_the_link_itself_wins_over_that_of_the_message() -> None:
    mei = make_profile()
    click(
        mei,
        make_delivery(mei),
        NOW,
        url="https://x.example/?utm_source=Partner&utm_medium=cpc&utm_campaign=Joint%20Venture",
    )
    read_all()
    assert seen() == [("click", "email", "joint-venture", "")]


def test_the_delivery_may_be_named_by_its_public_id() -> None:
    mei = make_profile()
    delivery = make_delivery(mei)
    click(mei, delivery, NOW, delivery=str(delivery.public_id))
    read_all()
    assert Touch.objects.get().delivery == delivery.pk


def test_a_ghosts_click_is_no_touch() -> None:
    mei = make_profile()
    click(mei, make_delivery(mei, ghost=True, state="skipped"), NOW)
    read_all()
    assert seen() == []


def test_machine_clicks_and_opens_never_reach_us() -> None:
    mei = make_profile()
    say(mei, "@message_opened", NOW, kind="system", properties={"delivery": make_delivery(mei).pk})
    read_all()
    assert seen() == []


def test_a_page_with_utm_is_a_visit_and_one_without_is_nothing() -> None:
    mei = make_profile()
    visit(mei, NOW)
    visit(mei, NOW + HOUR, "q=shoes")
    visit(mei, NOW + 2 * HOUR, "utm_source=google&utm_medium=cpc&utm_campaign=Brand")
    read_all()
    assert seen() == [("utm_visit", "email", "winback", ""), ("utm_visit", "paid", "brand", "")]


def test_a_campaign_in_the_context_is_read_too() -> None:
    mei = make_profile()
    context = {"campaign": {"name": "Spring Sale", "source": "wecom", "medium": "social", "content": "a"}}
    say(mei, "page", NOW, kind="page", context=context)
    read_all()
    assert seen() == [("utm_visit", "social", "spring-sale", "a")]


@pytest.mark.parametrize(
    "context", [{"campaign": "x"}, {"page": "x"}, {"page": {"url": 5}}, {"page": {"url": "http://["}}]
)
def test_strange_contexts_are_no_touch_and_no_error(context: dict[str, object]) -> None:
    mei = make_profile()
    say(mei, "page", NOW, kind="page", context=context)
    assert read_all() == 1
    assert seen() == []


@pytest.mark.parametrize("minutes", [0, 3, 30, -2])
def test_a_visit_by_our_link_near_the_click_is_the_same_touch(minutes: int) -> None:
    mei = make_profile()
    landing = "utm_source=shop&utm_medium=email&utm_campaign=winback&utm_id=c-1"
    click(mei, make_delivery(mei), NOW)
    visit(mei, NOW + timedelta(minutes=minutes), landing)
    visit(mei, NOW + timedelta(minutes=31), landing)
    read_all()
    assert [(row.kind, row.at) for row in Touch.objects.order_by("at")] == [
        ("click", NOW),
        ("utm_visit", NOW + timedelta(minutes=31)),
    ]


def test_the_visit_may_be_read_before_its_click() -> None:
    mei = make_profile()
    make_goal()
    visit(mei, NOW + timedelta(minutes=1))
    order(mei, NOW + HOUR)
    read_all()
    assert [row.kind for row in Touch.objects.all()] == ["utm_visit"]
    click(mei, make_delivery(mei), NOW)
    read_all()
    touch = Touch.objects.get()
    assert touch.kind == "click"
    assert Conversion.objects.get().path == [touch.pk]


def test_another_campaigns_visit_near_a_click_stays() -> None:
    mei, bo = make_profile(), make_profile()
    click(mei, make_delivery(mei), NOW)
    visit(mei, NOW + timedelta(minutes=1), "utm_source=shop&utm_medium=email&utm_campaign=winback&utm_id=c-2")
    visit(bo, NOW + timedelta(minutes=1))
    read_all()
    assert Touch.objects.count() == 3


def test_reading_twice_makes_nothing_twice() -> None:
    mei = make_profile()
    make_goal()
    click(mei, make_delivery(mei), NOW)
    order(mei, NOW + HOUR)
    read_all()
    before = (list(Touch.objects.values()), list(Conversion.objects.values()))
    Cursor.objects.filter(reader="touches").delete()
    read_all()
    assert (list(Touch.objects.values()), list(Conversion.objects.values())) == before


def test_facts_of_a_merged_person_go_to_the_one_they_are_now() -> None:
    mei = make_profile()
    shadow = make_profile(merged_into=mei)
    visit(shadow, NOW)
    read_all()
    assert Touch.objects.get().profile == mei


def test_only_goals_are_conversions() -> None:
    mei = make_profile()
    make_goal(make_campaign(), filter={"plan": "pro"}, fact="Subscribed")
    say(mei, "Subscribed", NOW, properties={"plan": "free"})
    say(mei, "Subscribed", NOW, properties={"plan": "pro"})
    say(mei, "Viewed", NOW)
    read_all()
    assert [(row.name, row.value, row.path) for row in Conversion.objects.all()] == [("Subscribed", 0, [])]


def test_utm_is_read_whatever_its_case_or_encoding() -> None:
    mei = make_profile()
    visit(mei, NOW, "UTM_Source=A%20B&UTM_CAMPAIGN=%E6%98%A5&x=1#utm_medium=no")
    visit(mei, NOW + HOUR, "utm_content=only")
    read_all()
    touch = Touch.objects.get()
    assert (touch.source, touch.medium, touch.campaign) == ("a-b", "", "春")


@pytest.mark.parametrize(
    ("source", "medium", "channel"),
    [
        ("email", "x", "email"), ("shop", "e-mail", "email"), ("shop", "sms", "sms"), ("app", "webpush", "push"),
        ("wecom", "social", "social"), ("google", "cpc", "paid"), ("a", "paid-social", "paid"), ("x", "banner", "web"),
    ],
)  # fmt: skip
def test_channel_by_source_and_medium(source: str, medium: str, channel: str) -> None:
    assert channel_of({"source": source, "medium": medium}) == channel
