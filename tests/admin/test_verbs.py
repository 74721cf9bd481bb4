"""What a person does in the admin: it happens, it is audited, and what cannot be done says why."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Enrolment, Journey
from common.models import ApiKey, AuditEntry, Parked
from common.models.keys import hash_key
from messaging.models import Address, Delivery, Device, Fallback, Pause, Quarantine, Receipt, Suppression, Template
from segments.models import Membership, Segment, SegmentRun
from segments.rules.compile import living


def said(answer: Any) -> str:
    """The messages shown on the page after a redirect."""
    return BeautifulSoup(answer.content, "html.parser").get_text(" ", strip=True)


def post(client: Client, name: str, *args: Any, **data: Any) -> Any:
    return client.post(reverse(f"admin:{name}", args=args), data, follow=True)


def audited(action: str) -> AuditEntry:
    return AuditEntry.objects.filter(action=action).latest("pk")


def test_publishing_first_says_what_would_happen(shop: Any, login: Any) -> None:
    journey = Journey.objects.get(key="churn-winback")
    page = login("approver").get(reverse("admin:campaigns_journey_publish", args=[journey.pk]))
    text = BeautifulSoup(page.content, "html.parser").get_text(" ", strip=True)
    inside = Segment.objects.get(key="slipping-away").memberships.count()
    assert f"“Slipping away” holds {inside} people now" in text
    under_way = journey.enrolments.filter(state__in=["active", "parked"]).count()
    rows = BeautifulSoup(page.content, "html.parser").select("tr:has(select)")
    assert {row.select_one("td").get_text() for row in rows} == {"v1"}  # type: ignore[union-attr]
    assert sum(int(row.select("td")[2].get_text()) for row in rows) == under_way
    chosen = BeautifulSoup(page.content, "html.parser").select_one("input[name=enter_present][checked]")
    assert chosen is not None
    assert chosen["value"] == "no"


def test_an_approver_publishes_but_lets_nobody_in(shop: Any, login: Any) -> None:
    journey = Journey.objects.get(key="churn-winback")
    entered = Enrolment.objects.count()
    answer = post(login("approver"), "campaigns_journey_publish", journey.pk, enter_present="yes")
    assert answer.status_code == 403
    assert Enrolment.objects.count() == entered
    journey.draft["nodes"]["gone"]["params"]["reason"] = "stayed away"
    journey.save()
    assert "The journey is live" in said(post(login("approver"), "campaigns_journey_publish", journey.pk))
    journey.refresh_from_db()
    assert journey.live_version is not None
    assert journey.live_version.number == 2
    assert audited("journey.publish").actor_name == "approver"


def test_a_journey_is_paused_resumed_and_archived(shop: Any, login: Any) -> None:
    journey = Journey.objects.get(key="vip-perks")
    for role, verb, state in (("approver", "pause", "paused"), ("sender", "resume", "live")):
        post(login(role), f"campaigns_journey_{verb}", journey.pk, reason="because")
        journey.refresh_from_db()
        assert journey.state == state
    entry = audited("journey.live")
    assert (entry.actor_name, entry.reason) == ("sender", "because")
    post(login("approver"), "campaigns_journey_archive", journey.pk)
    journey.refresh_from_db()
    assert journey.state == "archived"
    assert "is not in a state for this" in said(post(login("sender"), "campaigns_journey_resume", journey.pk))


def test_a_broken_draft_is_refused_with_every_error_at_once(shop: Any, login: Any) -> None:
    journey = Journey.objects.get(key="new-user-gift")
    before = journey.draft
    broken = {
        "trigger": {"type": "nothing"},
        "start": "a",
        "nodes": {"a": {"type": "wait", "params": {"for": "soon"}, "next": {"next": "b"}}, "b": {"type": "fly"}},
    }
    url = reverse("admin:campaigns_journey_change", args=[journey.pk])
    answer = login("author").post(url, _form(journey, draft=json.dumps(broken)))
    text = said(answer)
    assert "trigger" in text
    assert "nodes.a.params.for" in text
    assert "nodes.b.type" in text
    journey.refresh_from_db()
    assert journey.draft == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": }', "Not JSON at line 1, column 7"),
        ('{"a": NaN}', "NaN"),
        ('{"a": "\\u0000"}', "cannot be stored"),
        ('{"a": "\\ud800"}', "cannot be stored"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_cannot_be_stored_says_why(shop: Any, login: Any, text: str, problem: str) -> None:
    journey = Journey.objects.get(key="new-user-gift")
    url = reverse("admin:campaigns_journey_change", args=[journey.pk])
    answer = login("author").post(url, _form(journey, draft=text))
    assert answer.status_code == 200
    assert problem in said(answer)


def _form(journey: Journey, **changed: str) -> dict[str, Any]:
    return {"name": journey.name, "campaign": journey.campaign_id, **changed}


def test_a_draft_is_drawn_before_it_is_saved(shop: Any, login: Any) -> None:
    draft = json.dumps(Journey.objects.get(key="new-user-gift").draft)
    page = BeautifulSoup(
        login("viewer").post(reverse("admin:campaigns_journey_preview_flow"), {"draft": draft}).content, "html.parser"
    )
    assert {node["data-node"] for node in page.select("[data-node]")} >= {"@trigger", "welcome", "reminded"}
    assert "This flow can run" in page.get_text()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_duration_of_ages_is_told_and_the_draft_is_kept(shop: Any, login: Any, language: str) -> None:
    journey = Journey.objects.get(key="new-user-gift")
    draft = json.dumps({**journey.draft, "entry": {"max_age": "99999999999d"}})
    client = login("author", language)
    told = {
        "en": "entry.max_age: '99999999999d' is longer than 3650d, ten years",
        "zh-hans": "entry.max_age: “99999999999d”超过 3650d（十年）",
    }[language]
    drawn = post(client, "campaigns_journey_preview_flow", draft=draft)
    assert drawn.status_code == 200
    assert told in said(drawn)
    fresh = {**_form(journey, draft=draft), "key": "new-one"}
    answer = client.post(reverse("admin:campaigns_journey_add"), fresh)
    assert answer.status_code == 200
    assert told in said(answer)
    assert "99999999999d" in answer.context["adminform"].form["draft"].value()
    assert not Journey.objects.filter(key="new-one").exists()


def test_a_rule_is_counted_and_explained_before_it_is_saved(shop: Any, login: Any) -> None:
    rule = {"all": [{"op": "stage", "params": {"stages": ["lapsed"]}}]}
    url = reverse("admin:segments_segment_preview")
    page = BeautifulSoup(login("viewer").post(url, {"rule": json.dumps(rule)}).content, "html.parser")
    count = int(page.select_one("[data-count]").text)  # type: ignore[union-attr]
    assert count == 2
    assert len(page.select("tbody tr")) == count
    wrong = {"all": [{"op": "nothing"}, {"op": "stage", "params": {"stages": ["happy"]}}, {"maybe": 1}]}
    problems = said(login("viewer").post(url, {"rule": json.dumps(wrong)}))
    assert all(part in problems for part in ("3 things to mend", "all.0.op", "all.1.params.stages", "all.2"))


def test_a_new_rule_is_a_new_number_and_fires_nothing(shop: Any, login: Any) -> None:
    segment = Segment.objects.get(key="slipping-away")
    rule = {"op": "stage", "params": {"stages": ["lapsed"]}}
    url = reverse("admin:segments_segment_change", args=[segment.pk])
    login("author").post(url, {"name": segment.name, "rule": json.dumps(rule)})
    changed = Segment.objects.get(pk=segment.pk)
    assert (changed.rule, changed.rule_number, changed.fire_on_build) == (rule, segment.rule_number + 1, False)
    assert audited("segment.rule").subject == "segment:slipping-away"


def test_whoever_saves_second_is_told_and_a_refresh_is_not_set_back(shop: Any, login: Any) -> None:
    made = Segment.objects.create(key="two-tabs", name="Two", rule={"all": []})
    url, client = reverse("admin:segments_segment_change", args=[made.pk]), login("author")
    lapsed, mature = ({"op": "stage", "params": {"stages": [stage]}} for stage in ("lapsed", "mature"))
    tab = {"name": "Two", "seen": "1"}
    assert client.post(url, {**tab, "rule": json.dumps(lapsed)}).status_code == 302
    late = client.post(url, {**tab, "rule": json.dumps(mature)})
    assert "Somebody saved this while you were writing" in late.content.decode()
    made.refresh_from_db()
    assert (made.rule, made.rule_number) == (lapsed, 2)
    seen = BeautifulSoup(late.content, "html.parser").select_one("[name=seen]")
    assert seen is not None
    with CaptureQueriesContext(connection) as queries:
        again = client.post(url, {**tab, "seen": seen["value"], "rule": json.dumps(mature)})
    assert again.status_code == 302
    made.refresh_from_db()
    assert (made.rule, made.rule_number) == (mature, 3)
    saved = [one["sql"] for one in queries if one["sql"].startswith('UPDATE "segments_segment"')]
    assert len(saved) == 1
    assert not any(name in saved[0] for name in ("cursor_", "evaluated_at", "built_number", "size", '"state"'))


def test_a_rebuild_fires_only_if_asked_after_the_number_was_shown(shop: Any, login: Any) -> None:
    segment = Segment.objects.create(key="all", name="All", rule={"all": []}, built_number=1)
    people = living().count()
    Membership.objects.create(segment=segment, profile=living()[0], entered_at=shop)
    for asked in ({"fires": "yes"}, {"fires": "yes", "sure": "yes"}):
        assert post(login("author"), "segments_segment_rebuild", segment.pk, **asked).status_code == 403
    shown = post(login("sender", "zh-hans"), "segments_segment_rebuild", segment.pk, fires="yes")
    assert f"现在将有 {people - 1} 人进入" in shown.content.decode()
    segment.refresh_from_db()
    assert (segment.built_number, segment.fire_on_build) == (1, False), "nothing is done yet"
    for asked in ({}, {"fires": "yes", "sure": "yes"}):
        post(login("sender"), "segments_segment_rebuild", segment.pk, **asked)
        segment.refresh_from_db()
        assert (segment.built_number, segment.fire_on_build) == (0, bool(asked))


def test_a_key_is_shown_once_and_revoked(shop: Any, login: Any) -> None:
    client = login("admin")
    answer = client.post("/admin/common/apikey/issue/", {"name": "BI", "scopes": ["reports:read"], "subject": ""})
    shown = BeautifulSoup(answer.content, "html.parser").select_one("[data-secret]")
    assert shown is not None
    key = ApiKey.objects.get(digest=hash_key(shown.text))
    assert key.scopes == ["reports:read"]
    assert key.created_by is not None
    assert "no-store" in answer["Cache-Control"]
    for url in ("", f"{key.pk}/change/", f"{key.pk}/history/"):
        assert shown.text not in client.get(f"/admin/common/apikey/{url}").content.decode()
    assert shown.text not in json.dumps(list(AuditEntry.objects.values("detail", "subject")))
    post(client, "common_apikey_revoke", key.pk)
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert audited("key.revoke").subject == f"key:{key.prefix}"


def test_a_write_key_names_its_source(shop: Any, login: Any) -> None:
    answer = login("admin").post("/admin/common/apikey/issue/", {"name": "Web", "scopes": ["ingest"], "subject": ""})
    assert "A write key names its source" in said(answer)


def test_sending_is_paused_and_lifted_by_name(shop: Any, login: Any) -> None:
    form = {"scope": "channel", "value": "email", "reason": "wrong prices"}
    assert "Sending is paused" in said(login("approver").post("/admin/messaging/pause/start/", form, follow=True))
    pause = Pause.objects.get(scope="channel", value="email")
    assert (pause.started_by, pause.reason) == ("approver", "wrong prices")
    held = Delivery.objects.filter(state="planned").first()
    assert held is not None
    Delivery.objects.filter(pk=held.pk).update(state="held", reason="paused:channel:email")
    assert post(login("approver"), "messaging_pause_lift", pause.pk).status_code == 403
    assert "messages that go on: 1" in said(post(login("sender"), "messaging_pause_lift", pause.pk, reason="mended"))
    pause.refresh_from_db()
    held.refresh_from_db()
    assert (pause.ended_by, held.state) == ("sender", "planned")
    assert audited("pause.lift").reason == "mended"


def test_a_pause_names_something_that_exists(shop: Any, login: Any) -> None:
    answer = login("sender").post("/admin/messaging/pause/start/", {"scope": "channel", "value": "fax", "reason": "x"})
    assert "No such channel" in said(answer)
    assert not Pause.objects.filter(value="fax").exists()


def test_a_waiting_message_is_cancelled_and_a_sent_one_is_not(shop: Any, login: Any) -> None:
    waiting, sent = (Delivery.objects.filter(state=state)[0] for state in ("planned", "accepted"))
    assert "is cancelled" in said(post(login("sender"), "messaging_delivery_cancel", waiting.pk, reason="typo"))
    assert "past recall" in said(post(login("sender"), "messaging_delivery_cancel", sent.pk, reason="typo"))
    waiting.refresh_from_db()
    sent.refresh_from_db()
    assert (waiting.state, waiting.reason, sent.state) == ("cancelled", "by_hand", "accepted")


def test_a_message_in_doubt_is_sent_again_only_with_a_reason(shop: Any, login: Any) -> None:
    row = Delivery.objects.filter(state="in_doubt")[0]
    url = reverse("admin:messaging_delivery_resend", args=[row.pk])
    assert login("approver").get(url).status_code == 403
    asked = login("sender").get(url)
    assert "may get the message twice" in said(asked)
    assert "可能会收到两次" in said(login("sender", "zh-hans").get(url))
    assert "Say why" in said(post(login("sender"), "messaging_delivery_resend", row.pk, reason=" "))
    row.refresh_from_db()
    assert row.state == "in_doubt"
    answer = post(login("sender"), "messaging_delivery_resend", row.pk, reason="not in the provider's log")
    assert "planned once more" in said(answer)
    row.refresh_from_db()
    assert (row.state, row.reason, row.attempts) == ("planned", "by_hand_again", 1)
    entry = audited("delivery.resend")
    assert (entry.actor_name, entry.reason) == ("sender", "not in the provider's log")
    assert "nothing was sent again" in said(post(login("sender"), "messaging_delivery_resend", row.pk, reason="again"))


def test_an_address_is_suppressed_with_its_reason(shop: Any, login: Any) -> None:
    address = Address.objects.filter(suppressed="")[0]
    post(login("sender"), "messaging_address_suppress", address.pk, reason="asked by phone")
    address.refresh_from_db()
    assert address.suppressed == "manual"
    assert Suppression.objects.latest("pk").note == "asked by phone"


def test_a_parked_walk_is_tried_again_or_ended(shop: Any, login: Any) -> None:
    first, second = Enrolment.objects.filter(state="parked").order_by("pk")
    post(login("sender"), "campaigns_enrolment_retry", first.pk, reason="template published")
    post(login("sender"), "campaigns_enrolment_drop", second.pk)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("active", "exited")
    assert "not parked any more" in said(post(login("sender"), "campaigns_enrolment_retry", first.pk))


def test_a_parked_item_is_resolved_by_name(shop: Any, login: Any) -> None:
    item = Parked.objects.filter(resolved_at=None)[0]
    post(login("sender"), "common_parked_resolve", item.pk, reason="link restored")
    item.refresh_from_db()
    assert item.resolved_by == "sender"
    assert audited("parked.resolve").reason == "link restored"


def test_parked_work_is_tried_again_from_its_page(shop: Any, login: Any) -> None:
    address = Address.objects.filter(channel="email", suppressed="").exclude(profile=None)[0]
    raw = {"ref": "", "said": {}, "heard": {"channel": "nowhere", "sender": "x", "text": "TD", "intent": "stop"}}
    receipt = Receipt.objects.create(
        provider="sms", natural_key="parked-1", kind="heard", at=timezone.now(), received_at=timezone.now(), raw=raw
    )
    item = Parked.objects.create(
        at=timezone.now(), reader="heard", subject=f"receipt:{receipt.pk}", reason="x", tries=6
    )
    page = login("sender").get(reverse("admin:common_parked_change", args=[item.pk]))
    assert "Try again" in page.content.decode()
    assert "nowhere" in said(post(login("sender"), "common_parked_retry", item.pk, reason="again"))
    item.refresh_from_db()
    assert (item.resolved_at, item.tries) == (None, 7)
    receipt.raw["heard"] |= {"channel": "email", "sender": address.value}
    receipt.save()
    post(login("sender"), "common_parked_retry", item.pk, reason="the channel is back")
    item.refresh_from_db()
    assert item.resolved_by == "sender"
    assert audited("parked.retry").reason == "the channel is back"
    address.refresh_from_db()
    assert "*" in address.refusals


def test_a_device_is_removed_by_name_and_its_token_is_never_shown(shop: Any, login: Any) -> None:
    device = Device.objects.get(label="Pixel 9")
    page = login("viewer").get(reverse("admin:messaging_device_change", args=[device.pk])).content.decode()
    assert "Pixel 9" in page
    assert "token-of-mei" not in page
    person = login("viewer").get(reverse("admin:segments_profile_change", args=[device.address.profile_id]))
    assert "Pixel 9" in person.content.decode()
    assert post(login("viewer"), "messaging_device_remove", device.pk, reason="x").status_code == 403
    assert "no more messages" in said(post(login("sender"), "messaging_device_remove", device.pk, reason="stolen"))
    assert "gone already" in said(post(login("sender"), "messaging_device_remove", device.pk, reason="stolen"))
    device.refresh_from_db()
    assert device.gone_at is not None
    assert device.gone_because == "by hand: stolen"
    assert audited("device.remove").reason == "stolen"


def test_a_message_tells_the_ways_that_were_tried_before(shop: Any, login: Any) -> None:
    row = Delivery.objects.filter(channel="email", ghost=False)[0]
    story = [
        {"delivery": "11111111-1111-4111-8111-111111111111", "channel": "push", "version": 1, "reason": "no_address"}
    ]
    Fallback.objects.create(delivery=row, key=row.dedupe_key, versions=[1, 2], planned_at=row.planned_at, story=story)
    text = said(login("viewer").get(reverse("admin:messaging_delivery_change", args=[row.pk])))
    assert "left to try: 2" in text
    assert "the person has no address in this channel" in text


def test_words_in_quarantine_are_decided_about_once_and_with_a_reason(shop: Any, login: Any) -> None:
    one = Quarantine.objects.get(state="open")
    page = login("viewer").get(reverse("admin:messaging_quarantine_change", args=[one.pk])).content.decode()
    assert "44.2%" in page
    assert "They are true" not in page
    assert post(login("approver"), "messaging_quarantine_drop", one.pk, reason="x").status_code == 403
    assert "Say why" in said(post(login("sender"), "messaging_quarantine_drop", one.pk))
    assert "being dropped" in said(post(login("sender"), "messaging_quarantine_drop", one.pk, reason="stolen secret"))
    assert "decided already" in said(post(login("sender"), "messaging_quarantine_release", one.pk, reason="true"))
    one.refresh_from_db()
    assert (one.state, one.decided_by, one.reason) == ("dropping", "sender", "stolen secret")
    assert audited("quarantine.drop").detail == {"source": "mail", "kind": "hard", "words": 1}


def test_a_template_is_linted_at_publish_and_told_all_at_once(shop: Any, login: Any) -> None:
    template = Template.objects.get(key="winback-offer")
    template.content = {"en": {"subject": "", "html": "<p>{{ profile.first_name }} {{ nothing.here }}</p>"}}
    template.save()
    text = said(post(login("approver"), "messaging_template_publish", template.pk))
    assert "content.en.subject: is empty" in text
    assert "unsubscribe" in text
    assert "nothing" in text
    assert template.versions.count() == 1


def test_an_author_edits_words_in_two_languages(shop: Any, login: Any) -> None:
    template = Template.objects.get(key="vip-perk")
    url = reverse("admin:messaging_template_change", args=[template.pk])
    form = {
        "name": template.name, "channel": "email", "klass": "marketing", "topic": template.topic_id, "sample": "{}",
        "revision": 0, "content:en:subject": "Hi", "content:en:text": "Hello\r\nthere", "content:zh-hans:subject": "你好",
        "content:zh-hans:text": " ",
    }  # fmt: skip
    assert login("author").post(url, form).status_code == 302
    template.refresh_from_db()
    assert template.content == {"en": {"subject": "Hi", "text": "Hello\nthere"}, "zh-hans": {"subject": "你好"}}


def test_a_preview_stands_on_an_origin_of_its_own(shop: Any, login: Any) -> None:
    template = Template.objects.get(key="new-user-welcome")
    client = login("viewer")
    person = template.pk and Address.objects.exclude(profile=None)[0].profile
    assert person is not None
    shown = client.get(reverse("admin:messaging_template_change", args=[template.pk]))
    frame = BeautifulSoup(shown.content, "html.parser").select_one("iframe[name=p-preview]")
    assert frame is not None
    assert frame.has_attr("sandbox")
    assert not frame["sandbox"]
    body = client.get(str(frame["src"]), {"locale": "en", "person": person.email})
    assert "sandbox" in body["Content-Security-Policy"]
    assert "allow" not in body["Content-Security-Policy"]
    assert body["Referrer-Policy"] == "no-referrer"
    assert person.first_name in body.content.decode()


def test_a_recipe_is_installed_as_drafts_by_an_author(shop: Any, login: Any) -> None:
    Journey.objects.filter(key="growth-tasks").update(key="mine", recipe="")
    client = login("author")
    assert post(client, "recipe_install", "growth-tasks", publish="yes").status_code == 403
    assert "Installed" in said(post(client, "recipe_install", "growth-tasks"))
    assert Journey.objects.get(key="growth-tasks").state == "draft"
    assert post(client, "recipe_install", "nothing").status_code == 404


def test_a_report_with_wrong_parameters_says_so(shop: Any, login: Any) -> None:
    answer = login("viewer").get("/admin/reports/utm-conversions/?from=yesterday&by=colour")
    assert answer.status_code == 200
    text = said(answer)
    assert "from" in text
    assert "Nothing to report" not in text


def test_a_report_shows_the_days_in_force_and_offers_what_there_is(shop: Any, login: Any) -> None:
    def form(query: str, language: str = "en") -> BeautifulSoup:
        answer = login("viewer", language).get(f"/admin/reports/utm-conversions/{query}")
        return BeautifulSoup(answer.content, "html.parser")

    def ticked(page: BeautifulSoup) -> list[tuple[str, bool]]:
        return [(str(box["value"]), box.has_attr("checked")) for box in page.select("input[name=by]")]

    page, today = form(""), timezone.localdate(shop)
    days = [page.select_one(f"input[name={name}]")["value"] for name in ("from", "to")]  # type: ignore[index]
    assert days == [str(today - timedelta(days=29)), str(today)]
    usual = [("source", True), ("medium", True), ("campaign", True), ("content", False), ("term", False)]
    assert ticked(page) == usual
    assert [one.text for one in page.select("select[name=model] option")] == ["", "Last touch", "Linear"]
    turned = form("?by=campaign,source&to=2026-03-31", "zh-hans")
    assert [box.parent.get_text(strip=True) for box in turned.select("input[name=by]")] == [  # type: ignore[union-attr]
        "活动", "来源", "媒介", "内容", "字词",
    ]  # fmt: skip
    assert [value for value, on in ticked(turned) if on] == ["campaign", "source"]
    assert turned.select_one("input[name=from]")["value"] == "2026-03-02"  # type: ignore[index]


def test_a_report_of_many_columns_is_turned(shop: Any, login: Any) -> None:
    page = BeautifulSoup(login("viewer").get("/admin/reports/holdout-lift/").content, "html.parser")
    lines = page.select("table.p-standing tr")
    assert [line.th.text for line in lines][:3] == ["Journey", "Experiment", "Arm"]  # type: ignore[union-attr]
    assert len({len(line.select("td")) for line in lines}) == 1
    assert len(lines) == 22


def test_the_audit_log_cannot_be_touched(shop: Any, login: Any) -> None:
    entry, client = AuditEntry.objects.latest("pk"), login("root")
    for verb in ("change", "delete"):
        client.post(f"/admin/common/auditentry/{entry.pk}/{verb}/", {"reason": "never", "post": "yes"})
    assert client.get("/admin/common/auditentry/add/").status_code == 403
    entry_now = AuditEntry.objects.get(pk=entry.pk)
    assert entry_now.reason == entry.reason


@pytest.mark.parametrize(
    ("until", "shows"),
    [
        ("9999-12-31T23:59:59-14:00", True),
        ("0001-01-01T00:00:00%2B14:00", True),
        ("0001-01-01T00:00:00%2B00:00", False),
        ("9999-12-31T23:59:59%2B00:00", True),
        ("2026-13-45T00:00:00Z", True),
    ],
)
def test_a_timeline_before_no_possible_instant_begins_now(shop: Any, login: Any, until: str, shows: bool) -> None:
    walk = Enrolment.objects.order_by("pk")[0]
    answer = login("viewer").get(f"/admin/segments/profile/{walk.profile_id}/timeline/?until={until}")
    assert answer.status_code == 200
    assert bool(answer.context["moments"]) is shows


def test_the_timeline_pages_back_without_losing_a_moment(shop: Any, login: Any) -> None:
    from segments.timeline import timeline

    walk = Enrolment.objects.order_by("pk")[0]
    until, seen, times = shop + timedelta(days=1), 0, []
    while until:
        moments, older = timeline(walk.profile_id, until=until, limit=4)
        seen, times = seen + len(moments), times + [moment.at for moment in moments]
        until = older  # type: ignore[assignment]
    everything, _older = timeline(walk.profile_id, until=shop + timedelta(days=1), limit=1000)
    assert seen == len(everything)
    assert times == sorted(times, reverse=True)
    assert {"fact", "message", "enrolment", "points", "stage", "consent"} <= {moment.kind for moment in everything}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "1,001 people or more may have changed: above 1,000 a pass over everyone is cheaper"),
        ("zh-hans", "至少 1,001 人可能有变化：超过 1,000 人时，全量计算更省"),
    ],
)
def test_a_run_says_why_it_looked_at_everyone(shop: Any, login: Any, language: str, said: str) -> None:
    segment, at = Segment.objects.get(key="vip"), timezone.now()
    run = SegmentRun.objects.create(
        segment=segment, mode="full", why="many", estimated=1001, threshold=1000, as_of=at, started_at=at
    )  # fmt: skip
    viewer = login("viewer", language)
    for page in (
        reverse("admin:segments_segment_change", args=[segment.pk]),
        reverse("admin:segments_segmentrun_change", args=[run.pk]),
    ):
        assert said in viewer.get(page).content.decode()
