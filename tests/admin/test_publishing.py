"""Reviews, publishing with people under way, rolling back and moving people, as the admin's pages do them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import reverse

from campaigns import review
from campaigns.engine import advance
from campaigns.enrol import enrol
from campaigns.models import Enrolment, Journey, Review, Transfer
from campaigns.triggers import Entry
from segments.models import Benefit
from tests.campaigns.flows import DONE, flow, live, make_campaign, make_goal, make_segment, make_template, node
from tests.people import NOW, make_profile

CHINESE = {"accept-language": "zh-hans"}
FIRST = {"long": node("wait", "mail", for_="10d"), "mail": node("send", template="hello"), "done": DONE}
SECOND = {"mail": node("send", template="hello"), "done": DONE}


def page(name: str, journey: Journey, *args: Any) -> str:
    return reverse(f"admin:campaigns_journey_{name}", args=[journey.pk, *args])


def body(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.fixture
def walked(shop: Any, db: None) -> Journey:
    """A live journey with three people at a step that the draft has no more."""
    make_template("hello")
    make_segment("audience")
    campaign = make_campaign("reviewed", holdout=0.1)
    make_goal(campaign, "order")
    trigger = {"type": "segment_entered", "params": {"segment": "audience"}}
    entry = {"reentry": "cooldown", "cooldown": "30d"}
    graph = {**flow(FIRST, goal={"key": "order"}, entry=entry), "trigger": trigger}
    row = live(graph, key="reviewed", campaign=campaign)
    enrol(row, [Entry(profile=make_profile(user_id=f"w{n}").pk, key=f"k{n}") for n in range(3)], now=NOW)
    advance(NOW)
    review.save_draft(row, {**graph, "start": "mail", "nodes": SECOND}, now=NOW, by=User.objects.get(username="author"))
    return row


def test_publishing_shows_what_changes_and_for_whom(walked: Journey, login: Any) -> None:
    said = body(login("approver").get(page("publish", walked)))
    assert "3 people on version 1 stand at “long”, a step that is no more." in said
    assert "Step “long” is gone: Wait for 1w 3d" in said
    assert 'name="to:1:long"' in said
    assert "About 0 people within 30 days" in said
    chinese = body(login("approver").get(page("publish", walked), headers=CHINESE))
    assert "版本 1 上有 3 人停在“long”，而这一步已不存在。" in chinese
    assert "移除步骤“long”" in chinese


@pytest.mark.parametrize(
    ("form", "places"),
    [
        ({}, {(1, "long", "active")}),
        ({"under_way": "move", "to:1:long": "mail"}, {(2, "mail", "active")}),
        ({"under_way": "move", "to:1:long": "@exit"}, {(1, "long", "exited")}),
        ({"under_way": "exit"}, {(1, "long", "exited")}),
    ],
)
def test_publishing_does_with_people_as_was_said(
    walked: Journey, login: Any, form: dict[str, str], places: set[tuple[int, str, str]]
) -> None:
    asked = login("approver").get(page("publish", walked)).context["ask"]
    login("approver").post(page("publish", walked), {**form, "confirmed": asked, "reason": "shorter"})
    walked.refresh_from_db()
    assert walked.live_version is not None
    assert (walked.live_version.number, walked.live_version.note) == (2, "shorter")
    assert set(Enrolment.objects.filter(journey=walked).values_list("version__number", "node", "state")) == places
    assert "shorter" in body(login("viewer").get(page("change", walked)))


def test_a_warning_must_be_seen_and_an_error_is_shown_at_its_step(walked: Journey, login: Any) -> None:
    review.save_draft(walked, {**walked.draft, "goal": None}, now=NOW)
    client = login("approver")
    assert "no goal: nobody will know whether it works" in body(client.get(page("publish", walked)))
    said = body(client.post(page("publish", walked), {}, follow=True))
    assert "The warnings have changed: look at them once more." in said
    broken = {**walked.draft, "nodes": {**SECOND, "mail": node("send", template="nobody")}}
    review.save_draft(walked, broken, now=NOW)
    said = body(client.get(page("publish", walked)))
    assert "template &#x27;nobody&#x27; has no published version" in said
    assert 'data-finding="flow"' in said
    walked.refresh_from_db()
    assert walked.versions.count() == 1


@override_settings(FOUR_EYES_ABOVE=0)
def test_a_review_from_asking_to_publishing(walked: Journey, login: Any) -> None:
    make_segment("audience", tuple(make_profile(user_id=f"a{n}") for n in range(2)))
    login("author").post(page("ask_review", walked), {"reason": "the copy"})
    asked = Review.objects.get(journey=walked)
    assert (asked.state, asked.audience, asked.note) == ("open", 2, "the copy")
    assert "Approve" in body(login("approver").get(page("change", walked)))
    assert "Approve" not in body(login("author").get(page("change", walked)))
    assert "批准" in body(login("approver").get(page("change", walked), headers=CHINESE))
    assert login("author").post(page("approve", walked)).status_code == 403
    login("approver").post(page("send_back", walked), {"reason": "too loud"})
    asked.refresh_from_db()
    assert (asked.state, asked.reason) == ("refused", "too loud")
    login("author").post(page("ask_review", walked))
    login("approver").post(page("approve", walked), {"reason": "fine"})
    said = body(login("viewer").get(page("change", walked)))
    assert all(
        text in said for text in ("approved by approver", "too loud", "approved the draft", "sent the draft back")
    )


@override_settings(FOUR_EYES_ABOVE=0)
def test_a_writer_with_the_right_to_publish_is_told_to_ask(walked: Journey, login: Any) -> None:
    make_segment("audience", (make_profile(user_id="a"),))
    review.save_draft(walked, {**walked.draft, "exits": []}, now=NOW, by=User.objects.get(username="admin"))
    review.save_draft(
        walked,
        {**walked.draft, "nodes": {"done": DONE}, "start": "done"},
        now=NOW,
        by=User.objects.get(username="admin"),
    )
    said = body(login("admin").get(page("publish", walked)))
    assert "above 0 people somebody who did not write the draft has to approve it" in said
    login("admin").post(page("publish", walked))
    assert walked.versions.count() == 1


def test_rolling_back_and_moving_people_later(walked: Journey, login: Any) -> None:
    client = login("approver")
    asked = client.get(page("publish", walked)).context["ask"]
    client.post(page("publish", walked), {"confirmed": asked})
    said = body(client.get(page("roll_back", walked, 1)))
    assert "New step “long”: Wait for 1w 3d" in said
    client.post(page("roll_back", walked, 1), {"reason": "it was better"})
    walked.refresh_from_db()
    assert walked.live_version is not None
    assert (walked.live_version.number, walked.live_version.note) == (3, "it was better")
    assert "the same" in body(client.get(page("move_people", walked)))
    client.post(page("move_people", walked), {"under_way": "move"})
    assert set(Enrolment.objects.filter(journey=walked).values_list("version__number", "node")) == {(3, "long")}
    assert Transfer.objects.get(journey=walked).kept == 3
    assert "Nobody is under way." in body(client.get(page("move_people", walked)))
    assert client.get(page("roll_back", walked, 9)).status_code == 302


def test_a_running_move_shows_how_far_it_is_and_can_be_stopped(walked: Journey, login: Any) -> None:
    version = walked.live_version
    Transfer.objects.create(journey=walked, version=version, plan={}, total=412, moved=100, started_at=NOW)
    said = body(login("approver").get(page("change", walked)))
    assert "100 / 412" in said
    login("approver").post(page("stop_transfer", walked), {"reason": "wrong"})
    assert Transfer.objects.get(journey=walked).state == "cancelled"


def test_saving_the_form_remembers_the_writer_and_takes_a_review_back(walked: Journey, login: Any) -> None:
    review.ask(walked, now=NOW, by=User.objects.get(username="author"))
    draft = {**walked.draft, "exits": [{"fact": "Order Completed"}]}
    form = {
        "name": walked.name,
        "name_zh": "",
        "campaign": walked.campaign_id,
        "holdout": "",
        "draft": json.dumps(draft),
    }
    login("admin").post(page("change", walked), form)
    walked.refresh_from_db()
    assert walked.draft["exits"] == [{"fact": "Order Completed"}]
    assert f"user:{User.objects.get(username='admin').pk}" in walked.editors
    assert Review.objects.get(journey=walked).state == "withdrawn"


def test_a_journey_is_downloaded_as_text(walked: Journey, login: Any) -> None:
    answer = login("viewer").get(page("export", walked))
    assert answer["Content-Disposition"] == 'attachment; filename="reviewed.json"'
    assert json.loads(answer.content)["journey"]["key"] == "reviewed"


def test_a_recipe_shows_what_it_will_make_and_asks_what_only_the_operator_knows(shop: Any, login: Any) -> None:
    url = reverse("admin:recipe_install", args=["birthday"])
    client = login("author")
    said = body(client.get(url))
    assert "Birthday gift codes" in said
    assert "Worth of the gift in minor units" in said
    assert "there already" in said  # the topics of another recipe
    assert "礼物金额" in body(client.get(url, headers=CHINESE))
    wrong = client.post(url, {"ask:amount": "much"})
    assert wrong.status_code == 400
    assert "is a whole number" in body(wrong)
    assert not Journey.objects.filter(key="birthday").exists()
    client.post(url, {"ask:amount": "700"})
    assert Journey.objects.get(key="birthday").state == "draft"
    assert Benefit.objects.get(key="birthday-gift-benefit").amount == 700
    assert client.post(url, {"ask:amount": "700", "publish": "yes"}).status_code == 403
    assert client.get(reverse("admin:recipe_install", args=["nothing"])).status_code == 404
