"""Settling: what each answer makes of its row, of the address behind it, and of the account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Min

from common.faults import faultpoint
from messaging.channels import Answer, Bounce, Outcome
from messaging.devices import forget
from messaging.models import Account, Attempt, Delivery
from messaging.outbox import ledger
from messaging.outbox.ledger import Answered, Change
from messaging.permission import note_bounce, withdraw
from messaging.retry import retrying
from segments.facts import names
from segments.facts.append import append_engine_facts

TOO_OLD = timedelta(hours=72)  # the budget for trying again is age, not a number of tries
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240))
FAILED = frozenset({"rejected", "undeliverable", "render_failed", "poisoned"})


@dataclass
class Batch:
    """One marked group and its answers so far. `rows` and `numbers` (attempts) go by delivery id."""

    account: Account
    token: UUID
    rows: dict[int, dict[str, Any]]
    numbers: dict[int, int]
    answers: dict[int, Answer] = field(default_factory=dict)


def settle(batch: Batch, *, now: datetime) -> dict[str, int]:
    """Settle a group in a transaction of its own; returns how many rows went to which state."""
    if not batch.numbers:
        return {}

    def work() -> dict[str, int]:
        with transaction.atomic():
            return write(batch, now=now)

    counted = retrying(work)
    faultpoint("after_settle_commit")
    return counted


def write(batch: Batch, *, now: datetime) -> dict[str, int]:
    """Write a group's answers and moves; call inside a transaction, after its locks. Rows whose lease is lost
    keep what others made of them; their attempts still get the answer, from which the sweeper concludes."""
    return ask_write(batch, now=now)()


def ask_write(batch: Batch, *, now: datetime) -> Callable[[], dict[str, int]]:
    """The same; what is returned waits for the moves, tells of failures and counts. It must be called."""
    answers = [_answered(pk, batch.numbers[pk], given) for pk, given in batch.answers.items()]
    ledger.answer(answers, token=batch.token, now=now)
    changes = [change_for(batch.rows[pk], given, now=now) for pk, given in batch.answers.items()]
    changes = _give_up(changes, batch, now)
    asked = ledger.ask_change(changes, was="attempting", token=batch.token)

    def finish() -> dict[str, int]:
        won = asked()
        moved = [one for one in changes if one.id in won]
        tell_failures(moved, now=now)
        faultpoint("before_settle_commit")
        return count_states(moved)

    return finish


def count_states(changes: Iterable[Change]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for one in changes:
        counted[one.state] = counted.get(one.state, 0) + 1
    return counted


def _answered(pk: int, n: int, given: Answer) -> Answered:
    return Answered(pk, n, given.outcome.value, _clean(given.code, 60), _clean(given.provider_ref, 200))


def _clean(text: str, length: int) -> str:
    return text.replace("\x00", "")[:length]


def change_for(row: dict[str, Any], given: Answer, *, now: datetime) -> Change:
    """The move that an answer asks for."""
    pk, code = row["id"], _clean(given.code, 120)
    if given.outcome is Outcome.SENT:
        return Change(pk, "accepted", settled_at=now, reached=1)
    if given.outcome is Outcome.PERMANENT:
        return Change(pk, "rejected", code, settled_at=now)
    if given.outcome is Outcome.UNKNOWN:
        return Change(pk, "in_doubt", code, settled_at=now)
    if given.outcome is Outcome.NOT_BEGUN:
        return Change(pk, "planned", unsent=True)
    wait = WAITS[min(row["attempts"], len(WAITS) - 1)]
    return Change(pk, "planned", code, not_before=given.retry_at or now + wait, unsent=True)


def _give_up(changes: Sequence[Change], batch: Batch, now: datetime) -> list[Change]:
    """Rows put off again although their first answer came 72 hours ago become undeliverable."""
    again = [
        one.id
        for one in changes
        if batch.answers[one.id].outcome is Outcome.TRANSIENT and batch.rows[one.id]["attempts"]
    ]
    if not again:
        return list(changes)
    first = Attempt.objects.filter(delivery__in=again).values_list("delivery").annotate(first=Min("answered_at"))
    old = {pk for pk, at in first if at is not None and at <= now - TOO_OLD}
    return [Change(one.id, "undeliverable", one.reason, settled_at=now) if one.id in old else one for one in changes]


def tell_failures(changes: Iterable[Change], *, now: datetime) -> None:
    """One fact per message that failed for good; journeys may branch on it. Call inside the transaction."""
    failed = {one.id: one for one in changes if one.state in FAILED}
    if not failed:
        return
    chosen = ("id", "public_id", "channel", "attempts", "profile_id", "profile__shard")
    facts = []
    for pk, public_id, channel, attempts, who, shard in Delivery.objects.filter(pk__in=failed).values_list(*chosen):
        said = {
            "reason": failed[pk].reason, "state": failed[pk].state, "channel": channel, "delivery": str(public_id),
        }  # fmt: skip
        facts.append((who, shard, names.MESSAGE_FAILED, f"message_failed:{public_id}:{attempts}", said))
    append_engine_facts(facts, now=now)


def note_bounces(batch: Batch, *, now: datetime) -> None:
    """What a refusal says about the address (suppress, count, withdraw), before its row is settled and in transactions
    of its own: the address comes before the delivery in the order of locks, and if we die in between, the address is
    safe and the row in doubt."""
    gone = [device for given in batch.answers.values() for device in given.gone]
    if gone:
        forget(gone, now=now, why="unknown to the provider")
    for pk, given in batch.answers.items():
        row = batch.rows[pk]
        if given.outcome is not Outcome.PERMANENT or row["address_id"] is None:
            continue
        ref = str(row["public_id"])
        if given.bounce in (Bounce.HARD, Bounce.SOFT):
            note_bounce(row["address_id"], given.bounce.value, now, delivery=ref)
        elif given.bounce is Bounce.OPTED_OUT:
            said = {"account": batch.account.key, "code": given.code}
            withdraw(row["address_id"], now=now, source="provider", evidence=said, delivery=ref)
