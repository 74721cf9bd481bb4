"""The gates, one by one, through the real outbox: what is sent, held until when, skipped, and why."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from messaging.gates import Gate, Row, Verdict, gates, in_order
from messaging.gates._policy import parse
from messaging.gates.quiet_hours import end_of_quiet
from messaging.models import Address, Delivery
from messaging.outbox.pauses import lift, pause
from messaging.outbox.send import send_due
from messaging.outbox.sweep import sweep
from messaging.permission import address_for, give_consent, lift_suppression, suppress, withdraw
from segments.facts import names
from segments.models import Event, Profile
from tests.messages import make_account, make_readers, make_topic, make_version, queue_to, render_plainly

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}


@pytest.fixture(autouse=True)
def _account(transactional_db: None) -> None:
    make_account(transport="backend", settings=LOCMEM)


def outcome(pk: int, now: datetime) -> tuple[str, str]:
    """Send what is due and say what became of a message: (state, reason)."""
    send_due(worker="test", now_fn=lambda: now, render=render_plainly)
    row = Delivery.objects.get(pk=pk)
    return row.state, row.reason


def queue(person: Profile, now: datetime, key: str = "welcome", **fields: Any) -> int:
    kinds = {name: fields.pop(name) for name in ("klass", "topic", "channel") if name in fields}
    version = make_version(key, now=now, **kinds)
    return queue_to([person], version, now=now, **fields)[0]


def test_they_stand_in_their_order() -> None:
    ours = [gate.key for gate in in_order() if type(gate).__module__.startswith("messaging.")]
    assert ours == [
        "pause", "expiry", "erased", "suppression", "consent", "rest", "dedupe", "sunset", "cap", "best_hour",
        "quiet_hours",
    ]  # fmt: skip


# --- permission ---


def test_marketing_needs_a_yes_to_its_topic(now: datetime) -> None:
    person = make_readers(1, now=now, topic="")[0]
    assert outcome(queue(person, now), now) == ("skipped", "no_consent:offers")
    address = address_for(person, "email", now)
    assert address is not None
    give_consent(address, "news", now=now, source="form")
    assert outcome(queue(person, now, "second"), now) == ("skipped", "no_consent:offers")
    give_consent(address, "offers", now=now, source="form")
    assert outcome(queue(person, now, "third"), now) == ("accepted", "")


def test_a_topic_that_people_leave_rather_than_join_needs_no_yes(now: datetime) -> None:
    make_topic("tips", opt_in=False)
    person = make_readers(1, now=now, topic="")[0]
    assert outcome(queue(person, now, topic="tips"), now) == ("accepted", "")
    withdraw(address_for(person, "email", now), "tips", now=now, source="link")  # type: ignore[arg-type]
    assert outcome(queue(person, now + DAY, "next", topic="tips"), now + DAY) == ("skipped", "refused:tips")


def test_lifecycle_needs_no_no(now: datetime) -> None:
    person = make_readers(1, now=now, topic="")[0]
    assert outcome(queue(person, now, klass="lifecycle", topic="service"), now) == ("accepted", "")
    withdraw(address_for(person, "email", now), now=now, source="link")  # type: ignore[arg-type]
    later = now + DAY
    assert outcome(queue(person, later, "a", klass="lifecycle", topic="service"), later) == (
        "skipped",
        "refused:service",
    )
    assert outcome(queue(person, later, "b", klass="transactional", topic="orders"), later) == ("accepted", "")


def test_the_latest_word_about_a_topic_wins(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    address = address_for(person, "email", now)
    assert address is not None
    withdraw(address, now=now, source="link")
    give_consent(address, "offers", now=now + timedelta(hours=1), source="form")
    address.refresh_from_db()
    assert (address.consents, address.refusals) == (["offers"], ["*"])
    assert outcome(queue(person, now + DAY), now + DAY) == ("accepted", "")
    assert outcome(queue(person, now + DAY, "n", topic="news"), now + DAY) == ("skipped", "refused:news")


def test_a_basis_that_ran_out_is_none(now: datetime) -> None:
    person = make_readers(1, now=now, topic="")[0]
    address = address_for(person, "email", now)
    assert address is not None
    give_consent(address, "offers", now=now, source="order", basis="implied", expires_at=now + DAY)
    assert outcome(queue(person, now), now) == ("accepted", "")
    assert outcome(queue(person, now + DAY, "late"), now + DAY) == ("skipped", "consent_expired:offers")


def test_statements_of_will_are_facts(now: datetime) -> None:
    person = make_readers(1, now=now, topic="")[0]
    address = address_for(person, "email", now)
    assert address is not None
    give_consent(address, "offers", now=now, source="form")
    withdraw(address, "offers", now=now, source="link", delivery="d-1")
    said = list(Event.objects.filter(profile=person).order_by("id").values_list("name", "properties"))
    assert said == [
        (names.CONSENT_CHANGED, {"channel": "email", "topic": "offers", "action": "given"}),
        (names.CONSENT_CHANGED, {"channel": "email", "topic": "offers", "action": "withdrawn"}),
        (names.UNSUBSCRIBED, {"channel": "email", "topic": "offers", "delivery": "d-1"}),
    ]


def test_suppression_holds_for_the_address_whoever_carries_it(now: datetime) -> None:
    first = make_readers(1, now=now)[0]
    address = address_for(first, "email", now)
    assert address is not None
    assert suppress(address, "complaint", now)
    assert not suppress(address, "complaint", now)
    assert outcome(queue(first, now), now) == ("skipped", "suppressed:complaint")
    assert outcome(queue(first, now, "receipt", klass="transactional"), now) == ("accepted", "")
    assert suppress(address, "hard_bounce", now), "the graver reason takes over"
    assert outcome(queue(first, now, "receipt2", klass="transactional"), now) == ("skipped", "suppressed:hard_bounce")
    Address.objects.all().delete()
    again = address_for(first, "email", now)
    assert again is not None
    assert again.suppressed == "hard_bounce", "a new row of the same address knows"
    lift_suppression(again)
    assert outcome(queue(first, now, "receipt3", klass="transactional"), now) == ("accepted", "")


def test_who_has_no_address_is_skipped(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    Profile.objects.filter(pk=person.pk).update(email="not an address")
    assert outcome(queue(person, now), now) == ("skipped", "no_address")


def test_the_erased_and_the_merged_get_nothing(now: datetime) -> None:
    gone, merged, other = make_readers(3, now=now)
    first, second = queue(gone, now, klass="transactional"), queue(merged, now)
    Profile.objects.filter(pk=gone.pk).update(erased_at=now)
    Profile.objects.filter(pk=merged.pk).update(merged_into=other)
    assert outcome(first, now) == ("cancelled", "erased")
    assert outcome(second, now) == ("cancelled", "merged")


def test_one_address_gets_the_same_message_once(now: datetime) -> None:
    first, second = make_readers(2, now=now)
    Profile.objects.filter(pk=second.pk).update(email=first.email)
    version = make_version(now=now)
    ids = queue_to([first, second], version, now=now, journey="j", node="n")
    outcomes = [outcome(pk, now) for pk in ids]
    assert outcomes == [("accepted", ""), ("skipped", "same_address")]


# --- pause and expiry ---


def test_a_pause_holds_and_lifting_it_frees_at_once(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    pause("journey", "welcome", reason="typo", by="ada", now=now)
    held = queue(person, now, journey="welcome")
    assert outcome(held, now) == ("held", "paused:journey:welcome")
    assert outcome(queue(person, now, "receipt", klass="transactional", journey="welcome"), now) == ("accepted", "")
    assert lift("journey", "welcome", by="ada", now=now) == 1
    assert outcome(held, now) == ("accepted", "")


@pytest.mark.parametrize(
    ("scope", "value"),
    [("channel", "email"), ("class", "marketing"), ("campaign", "spring"), ("account", "mail"), ("all", "")],
)
def test_every_scope_stops_what_it_names(now: datetime, scope: str, value: str) -> None:
    person = make_readers(1, now=now)[0]
    pause(scope, value, reason="test", by="ada", now=now)
    state, reason = outcome(queue(person, now, campaign="spring"), now)
    expected = ("planned", "") if scope == "all" else ("held", f"paused:{scope}:{value}")
    assert (state, reason) == expected
    transactional = outcome(queue(person, now, "r", klass="transactional", campaign="spring"), now)
    assert transactional[0] == ("planned" if scope == "all" else "accepted")


def test_a_pause_with_an_end_ends(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    pause("channel", "email", reason="window", by="ada", now=now, until=now + timedelta(hours=1))
    held = queue(person, now)
    assert outcome(held, now) == ("held", "paused:channel:email")
    later = now + timedelta(hours=1)
    assert sweep(later).released == 1
    assert outcome(held, later) == ("accepted", "")


def test_too_late_is_not_sent(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    late = queue(person, now, expires_at=now + timedelta(hours=1))
    assert outcome(late, now + timedelta(hours=1)) == ("expired", "expired")


# --- caps ---


def test_the_day_is_the_recipients(now: datetime, settings: Any) -> None:
    settings.MESSAGE_GAPS = ""
    person = make_readers(1, now=now, timezone="Asia/Shanghai")[0]
    assert outcome(queue(person, now), now) == ("accepted", "")  # 18:00 on Monday in Shanghai
    second = queue(person, now, "second")
    assert outcome(second, now) == ("held", "cap:email:day")
    row = Delivery.objects.get(pk=second)
    assert row.not_before == datetime(2026, 11, 2, 16, tzinfo=UTC), "midnight in Shanghai"


def test_a_week_begins_on_the_recipients_monday(now: datetime, settings: Any) -> None:
    settings.MESSAGE_CAPS, settings.MESSAGE_GAPS, settings.QUIET_HOURS = "email=2/week", "", ""
    zone = ZoneInfo("Asia/Shanghai")
    person = make_readers(1, now=now, timezone="Asia/Shanghai")[0]
    times = ["2026-11-01T23:30", "2026-11-02T00:10", "2026-11-02T10:00", "2026-11-03T09:00"]
    told = []
    for number, wall in enumerate(times):
        at = datetime.fromisoformat(wall).replace(tzinfo=zone).astimezone(UTC)
        told.append(outcome(queue(person, at, f"n{number}"), at)[0])
    assert told == ["accepted", "accepted", "accepted", "held"], "Sunday counts in the old week"


def test_the_gap_runs_from_the_last_one_sent(now: datetime, settings: Any) -> None:
    settings.MESSAGE_CAPS, settings.QUIET_HOURS, settings.OVER_CAP = "", "", "skip"
    person = make_readers(1, now=now)[0]
    midnight = datetime(2026, 11, 2, tzinfo=UTC)
    times = [midnight + timedelta(hours=hours) for hours in (8, 15, 24)]
    told = [outcome(queue(person, at, f"n{index}"), at) for index, at in enumerate(times)]
    assert told == [("accepted", ""), ("skipped", "gap:email"), ("accepted", "")]


def test_zero_means_none_and_blank_means_off(now: datetime, settings: Any) -> None:
    settings.MESSAGE_GAPS, settings.QUIET_HOURS = "", ""
    person = make_readers(1, now=now)[0]
    settings.MESSAGE_CAPS = "email=0/day"
    assert outcome(queue(person, now), now) == ("skipped", "cap:email:day")
    settings.MESSAGE_CAPS = "email="
    told = [outcome(queue(person, now, f"n{number}"), now)[0] for number in range(4)]
    assert told == ["accepted"] * 4


def test_the_cap_over_all_channels_binds_lifecycle_and_spares_transactional(now: datetime, settings: Any) -> None:
    settings.MESSAGE_CAPS, settings.MESSAGE_GAPS = "all=2/day", ""
    person = make_readers(1, now=now)[0]
    kinds = ["transactional", "marketing", "lifecycle", "lifecycle", "transactional"]
    told = [outcome(queue(person, now, f"n{index}", klass=kind), now) for index, kind in enumerate(kinds)]
    assert told == [("accepted", ""), ("accepted", ""), ("accepted", ""), ("held", "cap:all:day"), ("accepted", "")]


def test_a_hold_beyond_the_expiry_expires_with_its_reason(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    queue(person, now)
    second = queue(person, now, "second", expires_at=now + timedelta(hours=3))
    assert outcome(second, now) == ("expired", "gap:email")


# --- quiet hours ---


def test_nobody_is_woken(now: datetime) -> None:
    person = make_readers(1, now=now, timezone="America/New_York")[0]  # 05:00 there
    held = queue(person, now)
    assert outcome(held, now) == ("held", "quiet_hours")
    assert Delivery.objects.get(pk=held).not_before == datetime(2026, 11, 2, 13, tzinfo=UTC)
    morning = datetime(2026, 11, 2, 13, tzinfo=UTC)
    assert sweep(morning).released == 1
    assert outcome(held, morning) == ("accepted", "")
    assert outcome(queue(person, now, "receipt", klass="transactional"), now) == ("accepted", "")


NIGHT = (time(21), time(8))


@pytest.mark.parametrize(
    ("zone", "at", "until"),
    [
        ("Europe/Berlin", "2026-03-28T22:00", "2026-03-29T06:00"),  # the night is an hour shorter: 08:00 is +02:00
        ("Europe/Berlin", "2026-10-24T21:00", "2026-10-25T07:00"),  # and an hour longer: 08:00 is +01:00
        ("Asia/Kolkata", "2026-11-02T15:31", "2026-11-03T02:30"),  # a half-hour zone
        ("Australia/Lord_Howe", "2026-04-04T14:00", "2026-04-04T21:30"),  # half an hour of daylight saving
        ("Pacific/Auckland", "2026-11-02T08:00", "2026-11-02T19:00"),
        ("UTC", "2026-11-02T07:59", "2026-11-02T08:00"),
        ("UTC", "2026-11-02T08:00", None),
        ("UTC", "2026-11-02T20:59", None),
        ("UTC", "2026-11-02T21:00", "2026-11-03T08:00"),
    ],
)
def test_the_morning_is_the_recipients_over_both_changes(zone: str, at: str, until: str | None) -> None:
    found = end_of_quiet(datetime.fromisoformat(at).replace(tzinfo=UTC), NIGHT, ZoneInfo(zone))
    assert found == (datetime.fromisoformat(until).replace(tzinfo=UTC) if until else None)


def test_an_end_that_occurs_twice_or_never() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    window = (time(0, 30), time(2, 30))
    twice = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time; quiet again until the second 02:30
    assert end_of_quiet(twice, window, berlin) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    never = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # 01:00; 02:30 does not occur, 03:00 follows 01:59
    assert end_of_quiet(never, window, berlin) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_no_zone_and_no_minute_of_two_years_is_held_into_the_night() -> None:
    """Every answer lies ahead, outside the window, and at most a day and an hour away."""
    chosen = sorted(available_timezones())[::25]
    start = datetime(2026, 1, 1, 0, 7, tzinfo=UTC)
    for zone in chosen:
        tz = ZoneInfo(zone)
        for hours in range(0, 2 * 365 * 24, 37):
            at = start + timedelta(hours=hours)
            until = end_of_quiet(at, NIGHT, tz)
            wall = (until or at).astimezone(tz).time()
            assert time(8) <= wall < time(21), (zone, at, until)
            assert until is None or at < until <= at + timedelta(hours=12), (zone, at, until)


# --- the family ---


def test_a_gate_that_raises_costs_its_own_row_a_claim_and_poisons_it_after_five(now: datetime) -> None:
    good, bad = make_readers(2, now=now)
    first, second = queue(good, now), queue(bad, now)

    class Broken(Gate):
        key, order = "broken", 45

        def judge(self, row: Row, at: datetime, prepared: Any) -> Verdict | None:
            if row["profile_id"] == bad.pk:
                raise RuntimeError("bad row")
            return None

    with gates.temporarily("broken", Broken()):
        assert outcome(first, now) == ("accepted", "")
        for number in range(1, 6):
            at = now + timedelta(minutes=number)
            assert Delivery.objects.get(pk=second).state == "planned"
            outcome(second, at)
        assert outcome(second, now + timedelta(minutes=9)) == ("poisoned", "gate:broken")
    assert Event.objects.filter(profile=bad, name=names.MESSAGE_FAILED).count() == 1


def test_settings_that_cannot_be_read_say_which_word() -> None:
    for caps, gaps, quiet in [("email=3", "", ""), ("", "email", ""), ("", "", "email=21-8")]:
        with pytest.raises(ValueError, match=r"email|21-8|'3'"):
            parse(caps, gaps, quiet, "hold")
    assert parse("", "", "", "hold").lookback == timedelta(0)
