"""A source that reports far more harm than was sent over it is held for a person's decision, at constant cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.flood import shares
from messaging.gates import gates
from messaging.models import Account, Address, Attempt, Consent, Delivery, Quarantine, Receipt, Suppression
from messaging.outbox import send
from messaging.outbox.send import send_due
from messaging.permission import give_consent, suppress
from messaging.quarantine import contents, decide, waiting, work_off
from messaging.receipts import Word
from messaging.words import match_receipts, take_words
from segments.facts import names
from segments.models import Event
from tests.messages import make_account, queue_to
from tests.messaging.mails import ONE_LINK, publish, sent
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def account(settings: Any) -> Iterator[Account]:
    settings.MESSAGE_CAPS = settings.MESSAGE_GAPS = settings.QUIET_HOURS = ""
    settings.RECEIPT_FLOOD, settings.RECEIPT_FLOOD_FEWEST = "hard=15% soft=30% complained=2% unsubscribed=15%", 5
    with time_machine.travel(NOW, tick=False):
        yield make_account(key="mail")


def messages(count: int, account: Account, *, start: int = 0) -> list[Delivery]:
    version = publish(ONE_LINK, key=f"k{start}")
    rows = [sent(make_profile(email=f"n{n}@example.com"), version, prefix=f"p{n}") for n in range(start, start + count)]
    for row in rows:
        give_consent(row.address_id or 0, "offers", now=NOW - timedelta(days=1), source="form")
        Attempt.objects.create(
            delivery=row, n=1, account=account, lease_token=uuid4(), started_at=NOW - timedelta(hours=1), outcome="sent"
        )
    return rows


def words(rows: list[Delivery], kind: str = "hard") -> list[Word]:
    return [Word(kind, str(row.public_id), f"{row.public_id}:{kind}", NOW, {}) for row in rows]


def suppressed() -> dict[str, int]:
    found: dict[str, int] = {}
    for reason in Address.objects.values_list("suppressed", flat=True):
        found[reason] = found.get(reason, 0) + 1
    return found


def test_a_fifth_of_a_list_marked_dead_waits_for_a_person(account: Account) -> None:
    rows = messages(40, account)
    assert take_words(words(rows[:8]), provider="mail", now=NOW).applied == 0
    one = Quarantine.objects.get()
    assert (one.provider, one.kind, one.words, one.messages, one.state) == ("mail", "hard", 8, 40, "open")
    assert suppressed() == {"": 32, "held": 8}
    assert Suppression.objects.count() == 0
    assert not Event.objects.filter(name=names.BOUNCED).exists()
    assert match_receipts(LATER) == 0
    assert contents(one) == {"hard": 8}
    assert waiting(one) == 8


def test_an_ordinary_share_is_applied_as_ever(account: Account) -> None:
    rows = messages(40, account)
    assert take_words(words(rows[:5]), provider="mail", now=NOW).applied == 5
    assert not Quarantine.objects.exists()
    assert suppressed() == {"": 35, "hard_bounce": 5}


def test_word_by_word_no_more_slips_through_than_the_share(account: Account) -> None:
    rows = messages(40, account)
    for word in words(rows):
        take_words([word], provider="mail", now=NOW)
    assert suppressed() == {"hard_bounce": 6, "held": 34}
    assert Quarantine.objects.get().words == 7


def test_complaints_have_a_limit_of_their_own_and_others_words_are_held_with_them(account: Account) -> None:
    rows = messages(60, account)
    take_words(words(rows[:5], "complained"), provider="mail", now=NOW)
    assert Quarantine.objects.get().kind == "complained"
    take_words([*words(rows[5:7], "unsubscribed"), *words(rows[7:9], "delivered")], provider="mail", now=NOW)
    assert contents(Quarantine.objects.get()) == {"complained": 5, "unsubscribed": 2}
    assert not Consent.objects.filter(action="withdrawn").exists()
    assert list(Delivery.objects.filter(pk__in=[row.pk for row in rows[7:9]]).values_list("reached", flat=True)) == [
        2,
        2,
    ]


def test_forged_words_about_nothing_open_a_quarantine_and_touch_nobody(account: Account) -> None:
    forged = [Word("complained", str(uuid4()), f"forged{n}", NOW, {}) for n in range(6)]
    take_words(forged, provider="mail", now=NOW)
    one = Quarantine.objects.get()
    assert (one.words, one.messages) == (6, 0)
    assert Address.objects.count() == 0


def test_another_source_is_not_held(account: Account) -> None:
    other = make_account(key="other", is_default=False)
    rows = messages(20, other, start=100)
    take_words(words(messages(10, account)[:8]), provider="mail", now=NOW)
    assert take_words(words(rows[:2]), provider="other", now=NOW).applied == 2


def test_released_words_do_what_they_say(account: Account) -> None:
    rows = messages(20, account)
    take_words([*words(rows[:6]), *words(rows[6:8], "unsubscribed")], provider="mail", now=NOW)
    one = Quarantine.objects.get()
    assert decide(one, release=True, by="mei", reason="the list was bought", now=LATER)
    assert not decide(one, release=False, by="bo", reason="no", now=LATER)
    assert work_off(LATER) == 8
    assert work_off(LATER) == 0
    one.refresh_from_db()
    assert (one.state, one.decided_by, one.reason, one.done_at) == ("released", "mei", "the list was bought", LATER)
    assert suppressed() == {"": 14, "hard_bounce": 6}
    assert Consent.objects.filter(action="withdrawn").count() == 2
    assert Event.objects.filter(name=names.BOUNCED).count() == 6
    assert waiting(one) == 0


def test_dropped_words_leave_no_trace_on_anybody(account: Account) -> None:
    rows = messages(20, account)
    take_words(words(rows[:8]), provider="mail", now=NOW)
    decide(Quarantine.objects.get(), release=False, by="mei", reason="the secret was stolen", now=LATER)
    assert work_off(LATER) == 8
    assert suppressed() == {"": 20}
    take_words(words(rows[:8]), provider="mail", now=LATER)
    assert match_receipts(LATER) == 0
    assert suppressed() == {"": 20}
    assert Receipt.objects.filter(held=True).count() == 0
    assert not Event.objects.filter(name=names.BOUNCED).exists()


def test_after_a_decision_the_count_starts_again(account: Account) -> None:
    rows = messages(40, account)
    take_words(words(rows[:8]), provider="mail", now=NOW)
    decide(Quarantine.objects.get(), release=True, by="mei", reason="true", now=LATER)
    work_off(LATER)
    after = LATER + timedelta(minutes=1)
    assert take_words(words(rows[8:10]), provider="mail", now=after).applied == 2
    take_words(words(rows[10:20]), provider="mail", now=after)
    assert Quarantine.objects.filter(state="open").count() == 1


def test_an_address_on_a_list_meanwhile_stays_on_it(account: Account) -> None:
    rows = messages(10, account)
    take_words(words(rows[:6]), provider="mail", now=NOW)
    suppress(rows[0].address_id or 0, "manual", LATER)
    Address.objects.filter(pk=rows[0].address_id or 0).update(
        suppressed="held"
    )  # as a list of hashes would have left it
    decide(Quarantine.objects.get(), release=False, by="mei", reason="forged", now=LATER)
    work_off(LATER)
    assert suppressed() == {"": 9, "manual": 1}


def test_an_address_that_another_quarantine_names_stays_quiet(account: Account) -> None:
    other, rows = make_account(key="other", is_default=False), messages(10, account)
    take_words(words(rows[:6]), provider="mail", now=NOW)
    twice = [Word("hard", str(row.public_id), f"again{row.pk}", NOW, {}) for row in rows[:5]]
    take_words(twice, provider=other.key, now=NOW)
    decide(Quarantine.objects.get(provider="mail"), release=False, by="mei", reason="forged", now=LATER)
    work_off(LATER)
    assert suppressed() == {"": 5, "held": 5}


def test_marketing_waits_and_goes_after_a_drop(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "_losses", {})  # what this process saw of an account of the same id
    rows = messages(6, account)
    take_words(words(rows), provider="mail", now=NOW)
    version = publish(ONE_LINK, key="again")
    person = rows[0].profile
    queue_to([person], version, now=NOW, prefix="again", expires_at=NOW + timedelta(days=1))
    gate = gates.get("suppression")
    row = {"address_id": 1, "needs_address": True, "klass": "marketing", "suppression_reason": "held"}
    verdict = gate.judge(row, NOW, None)
    assert verdict is not None
    assert (verdict.ruling.value, verdict.reason, verdict.until) == ("held", "quarantine", NOW + timedelta(hours=1))
    assert gate.judge({**row, "klass": "transactional"}, NOW, None) is None
    send_due(worker="w", now_fn=lambda: NOW)
    waiting_one = Delivery.objects.get(dedupe_key__startswith="again")
    assert (waiting_one.state, waiting_one.reason) == ("held", "quarantine")


def test_the_statements_do_not_grow_with_the_words(account: Account) -> None:
    rows = messages(60, account)
    counts = []
    for few in (words(rows[:10]), words(rows[10:])):
        with CaptureQueriesContext(connection) as seen:
            take_words(few, provider="mail", now=NOW)
        counts.append(len(seen))
        decide(Quarantine.objects.get(state="open"), release=False, by="mei", reason="forged", now=NOW)
        work_off(NOW)
    assert counts[0] == counts[1] <= 22


def test_without_a_setting_nothing_is_held(account: Account, settings: Any) -> None:
    settings.RECEIPT_FLOOD = ""
    rows = messages(10, account)
    assert take_words(words(rows), provider="mail", now=NOW).applied == 10
    assert not Quarantine.objects.exists()


@pytest.mark.parametrize("text", ["hard", "hard=15", "hard=x%", "delivered=3%", "hard=15%,soft=3%"])
def test_a_setting_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        shares(text)
