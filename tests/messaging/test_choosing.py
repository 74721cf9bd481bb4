"""The preference centre: each form does its one thing, what was done can be undone, and GET never acts."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.test import Client

from messaging.fallback import in_order, wish_of
from messaging.links import page_url
from messaging.models import Address, Consent, Delivery, Preference
from messaging.permission import give_consent, suppress
from messaging.tokens import Purpose
from segments.facts import names
from segments.models import Event, Profile
from tests.messages import make_topic
from tests.messaging.mails import BROWSER, path_of, publish, sent, unsubscribe_path
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def browser() -> Client:
    return Client(enforce_csrf_checks=True, HTTP_USER_AGENT=BROWSER)


def mei(**fields: Any) -> Delivery:
    """Somebody who agreed to two topics by mail and one by text message."""
    person = make_profile(email="mei@example.com", phone="+8613800138000", first_name="Mei", **fields)
    make_topic("offers", name_zh="优惠")
    make_topic("news", name_zh="资讯")
    make_topic("service", purpose="lifecycle", opt_in=False)
    row = sent(person, publish())
    for topic in ("offers", "news"):
        give_consent(row.address_id or 0, topic, now=NOW, source="form")
    phone = Address.objects.create(channel="sms", value="+8613800138000", profile=person, created_at=NOW)
    give_consent(phone, "offers", now=NOW, source="form")
    return row


def path(row: Delivery) -> str:
    return path_of(page_url(Purpose.PREFERENCES, row.pk, row.address_id))


def state(channel: str = "email") -> tuple[list[str], list[str]]:
    return Address.objects.values_list("consents", "refusals").get(channel=channel)


def orders(page: str) -> list[str]:
    """What is chosen in each place, first to last."""
    found = []
    for select in re.findall(r'<select name="order">(.*?)</select>', page):
        chosen = re.search(r'value="([^"]*)" selected', select)
        found.append(chosen[1] if chosen else "none is chosen")
    return found


def test_the_channel_to_try_first_is_chosen_heeded_and_taken_back() -> None:
    row = mei(traits={"plan": "plus"})
    page = browser().get(path(row)).content.decode()
    assert orders(page) == ["", ""]
    page = browser().post(path(row), {"do": "order", "order": ["sms", "email"]}).content.decode()
    assert orders(page) == ["sms", "email"]
    person = Profile.objects.get(pk=row.profile_id)
    assert person.traits == {"plan": "plus", "channel_order": ["sms", "email"]}
    assert Event.objects.get(name=names.CORRECTED).properties["traits"] == ["channel_order"]
    mail, text = (
        row.version_id,
        publish(key="text", channel="sms", content={"en": {"text": "Hi {{ links.unsubscribe }}"}}).pk,
    )
    way = {mail: "email", text: "sms"}
    assert in_order([mail, text], way, wish_of(person.traits["channel_order"])) == [text, mail]
    undo = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.split('class="quiet"')[0]))
    assert undo == {"do": "order", "order": "", "undoes": "1"}
    assert orders(browser().post(path(row), undo).content.decode()) == ["", ""]
    assert Profile.objects.get(pk=row.profile_id).traits == {"plan": "plus"}


def test_a_channel_that_is_not_theirs_is_no_choice_and_one_channel_needs_none() -> None:
    row = mei(locale="zh-Hans")
    page = browser().post(path(row), {"do": "order", "order": ["push", "email", "email", "x" * 500]}).content.decode()
    assert Profile.objects.get(pk=row.profile_id).traits["channel_order"] == ["email"]
    assert "优先渠道" in page
    assert "由你们决定" in page
    Address.objects.filter(channel="sms").delete()
    assert "优先渠道" not in browser().get(path(row)).content.decode()
    assert browser().get(path(row), {"do": "order", "order": "sms"}).status_code == 200
    assert Profile.objects.get(pk=row.profile_id).traits["channel_order"] == ["email"]


def boxes(page: str) -> dict[str, bool]:
    """Every box of the topics' form: its key, and whether it is ticked."""
    found = re.findall(r'<input type="checkbox" name="on" value="([^"]+)"([^>]*)>', page)
    return {key: " checked" in rest for key, rest in found}


def undo_of(page: str) -> dict[str, str]:
    """The fields of the form that takes back what was done."""
    status = page[page.index('role="status"') :]
    form = status[status.index("<form") : status.index("</form>")]
    return {name: unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', form)}


def post(row: Delivery, **fields: Any) -> str:
    answer = browser().post(path(row), fields)
    assert answer.status_code == 200
    return answer.content.decode()


def tick(row: Delivery, *keys: str) -> str:
    page = browser().get(path(row)).content.decode()
    return post(row, do="topics", shown=list(boxes(page)), on=list(keys))


def key(channel: str, topic: str) -> str:
    return f"{Address.objects.get(channel=channel).pk}:{topic}"


def test_looking_changes_nothing_and_shows_how_it_stands() -> None:
    row = mei()
    for query in ("", "?do=stop", "?do=topics&shown=x"):
        page = browser().get(path(row) + query).content.decode()
    assert {name.split(":")[1]: on for name, on in boxes(page).items() if name.startswith(f"{row.address_id}:")} == {
        "offers": True,
        "news": True,
        "service": True,
    }
    assert "m•••@example.com" in page
    assert "•••000" in page
    assert "<script" not in page
    assert Consent.objects.count() == 3
    assert not Preference.objects.exists()


def test_unticking_stops_that_topic_in_that_channel_and_undo_brings_it_back() -> None:
    row = mei()
    page = tick(row, key("email", "offers"), key("email", "service"), key("sms", "offers"), key("sms", "service"))
    assert (state(), state("sms")) == ((["offers"], ["news"]), (["offers"], []))
    said = Consent.objects.get(action="withdrawn")
    assert (said.topic, said.source, said.purpose) == ("news", "preferences page", "marketing")
    assert said.evidence["user_agent"] == BROWSER
    assert said.evidence["ip"] == "127.0.0.1"
    assert said.evidence["delivery"] == str(row.public_id)
    back = post(row, **undo_of(page))
    assert state() == (["news", "offers"], [])
    assert "Undone." in back
    assert [one.action for one in Consent.objects.filter(topic="news").order_by("pk")] == [
        "given",
        "withdrawn",
        "given",
    ]


def test_what_comes_to_this_address_may_be_started_again_and_elsewhere_not() -> None:
    row = mei()
    tick(row)
    assert (state()[0], state("sms")[0]) == ([], [])
    page = browser().get(path(row)).content.decode()
    assert "disabled" in page
    tick(row, key("email", "offers"), key("sms", "offers"))
    assert state() == (["offers"], ["news", "service"])
    assert state("sms") == ([], ["offers", "service"])
    given = Consent.objects.filter(action="given", topic="offers").latest("pk")
    assert (given.source, given.wording, given.basis) == ("preferences page", "preferences-1", "express")


def test_a_topic_that_the_form_did_not_show_is_left_alone() -> None:
    row = mei()
    post(row, do="topics", shown=[key("email", "news")], on=[])
    assert state() == (["offers"], ["news"])
    post(row, do="topics", shown=["999:offers", "nonsense", f"{row.address_id}:nothing"], on=["999:offers"])
    assert state() == (["offers"], ["news"])


def test_everything_is_stopped_in_every_channel_and_comes_back_as_it_was() -> None:
    row = mei()
    page = post(row, do="stop")
    assert (state(), state("sms")) == (([], ["*"]), ([], ["*"]))
    post(row, do="stop")
    assert Consent.objects.filter(action="withdrawn").count() == 2
    post(row, **undo_of(page))
    assert (state(), state("sms")) == ((["news", "offers"], []), (["offers"], []))
    assert Event.objects.filter(name=names.UNSUBSCRIBED).count() == 2


def test_the_unsubscribe_page_offers_the_way_back() -> None:
    row = mei()
    page = browser().post(unsubscribe_path(row), {"confirm": "yes"}).content.decode()
    assert state() == (["news"], ["offers"])
    post(row, **undo_of(page))
    assert state() == (["news", "offers"], [])


def test_an_undo_is_good_for_an_hour_and_for_its_own_message(clock: Any) -> None:
    row = mei()
    said = undo_of(post(row, do="stop"))["said"]
    other = sent(make_profile(email="bo@example.com"), row.version, prefix="bo")
    post(other, do="undo", said=said)
    assert state("sms") == ([], ["*"])
    clock.shift(HOUR)
    post(row, do="undo", said=said)
    assert state("sms") == ([], ["*"])
    post(row, do="undo", said="x,9" * 50 + "," + "9" * 40)


def test_an_undo_does_not_overrule_what_was_said_after_it() -> None:
    row = mei()
    said = undo_of(post(row, do="topics", shown=[key("email", "news")]))["said"]
    give_consent(row.address_id or 0, "news", now=NOW + HOUR / 60, source="form")
    post(row, do="undo", said=said)
    assert Consent.objects.filter(basis="undo").count() == 0


def test_an_undone_withdrawal_runs_out_when_the_consent_would_have() -> None:
    row = mei()
    until = NOW + 9 * DAY
    give_consent(row.address_id or 0, "offers", now=NOW, source="order", basis="implied", expires_at=until)
    post(row, **undo_of(post(row, do="stop")))
    last = Consent.objects.filter(address=row.address_id).latest("pk")
    assert (last.basis, last.expires_at) == ("undo", until)
    late = Consent.objects.filter(address=row.address_id, topic="news", action="given").first()
    assert late is not None
    give_consent(row.address_id or 0, "tips", now=NOW - DAY, source="import")
    assert state() == (["news", "offers"], []), "an older word in between is put in its place"


def test_less_often_is_the_persons_own_limit() -> None:
    row = mei()
    page = post(row, do="frequency", often="week")
    wish = Preference.objects.get()
    assert (wish.profile_id, wish.at_most, wish.period, wish.replaces) == (row.profile_id, 1, "week", False)
    assert 'value="week" checked' in page
    fact = Event.objects.get(name=names.PREFERENCE_CHANGED)
    assert fact.properties == {"at_most": 1, "period": "week", "paused_until": None}
    post(row, **undo_of(page))
    assert Preference.objects.get().at_most is None
    post(row, do="frequency", often="hourly")
    assert Preference.objects.get().at_most is None


def test_an_operators_exception_is_shown_as_it_is() -> None:
    row = mei()
    Preference.objects.create(profile=row.profile, at_most=9, period="week", replaces=True, updated_at=NOW)
    page = browser().get(path(row)).content.decode()
    assert "At most 9 a week, as agreed with you" in page
    post(row, do="frequency", often="own")
    assert Preference.objects.get().at_most == 9


def test_a_break_lasts_thirty_days_and_ends_when_asked(clock: Any) -> None:
    row = mei()
    page = post(row, do="break", until="month")
    assert Preference.objects.get().paused_until == NOW + 30 * DAY
    assert "Paused until 1 April 2026." in page
    page = post(row, do="break", until="none")
    assert Preference.objects.get().paused_until is None
    post(row, **undo_of(page))
    assert Preference.objects.get().paused_until == NOW + 30 * DAY
    post(row, do="break", until="2999-01-01T00:00:00+00:00")
    assert Preference.objects.get().paused_until == NOW + 30 * DAY
    for nonsense in ("x", "2026-99-99T99:99", "2027-01-01T00:00"):
        post(row, do="break", until=nonsense)
        assert Preference.objects.get().paused_until is None


def test_the_language_changes_at_once_and_the_page_with_it() -> None:
    row = mei()
    page = post(row, do="language", language="zh-hans")
    assert Profile.objects.get(pk=row.profile_id).locale == "zh-Hans"
    assert 'lang="zh-Hans"' in page
    assert "偏好设置" in page
    assert "优惠" in page
    assert Event.objects.get(name=names.CORRECTED).properties == {"traits": ["locale"], "by": "person"}
    assert 'lang="en"' in post(row, **undo_of(page))
    post(row, do="language", language="tlh")
    assert Profile.objects.get(pk=row.profile_id).locale == "en"


def test_profiling_is_refused_and_allowed_again() -> None:
    row = mei()
    page = post(row, do="profiling", refused="yes")
    assert Profile.objects.get(pk=row.profile_id).no_profiling
    post(row, **undo_of(page))
    assert not Profile.objects.get(pk=row.profile_id).no_profiling


def test_a_blocked_address_cannot_be_unblocked_here_and_a_sunset_one_can() -> None:
    row = mei()
    suppress(row.address_id or 0, "complaint", NOW)
    assert "Nothing is sent to this address" in browser().get(path(row)).content.decode()
    post(row, do="keep")
    assert Address.objects.get(channel="email").suppressed == "complaint"
    Address.objects.filter(channel="email").update(suppressed="sunset")
    assert "Keep me on the list" in browser().get(path(row)).content.decode()
    post(row, do="keep")
    address = Address.objects.get(channel="email")
    assert (address.suppressed, address.last_engaged_at) == ("", NOW)


@pytest.mark.parametrize("body", [{}, {"do": ""}, {"do": "nonsense"}, {"topic": "*"}, {"do": "topics"}])
def test_a_wrong_post_only_shows(body: dict[str, str]) -> None:
    row = mei()
    post(row, **body)
    assert Consent.objects.count() == 3


def test_without_the_message_the_address_can_still_be_served() -> None:
    row = mei()
    page = path(row)
    row.delete()
    assert browser().post(page, {"do": "stop"}).status_code == 200
    assert state() == ([], ["*"])


def test_every_control_has_a_name_and_every_section_a_heading() -> None:
    row = mei(locale="zh-CN")
    page = browser().get(path(row)).content.decode()
    assert page.count("<main>") == 1
    for box in re.findall(r"<input type=\"checkbox\" name=\"on\"[^>]*>", page):
        assert re.search(r'aria-label="[^"]+ – [^"]+"', box), box
    for section in re.findall(r'<section aria-labelledby="([^"]+)"', page):
        assert f'<h2 id="{section}">' in page
    assert [text for text in re.findall(r"<button[^>]*>([^<]*)</button>", page) if not text.strip()] == []
