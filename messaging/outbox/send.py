"""Sending what is due: claim, judge, render, then group by group mark, hand over and settle."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from common.faults import faultpoint
from messaging.channels import Answer, Channel, ChannelError, Connection, Outcome, Outgoing, channels
from messaging.feed.feeding import Feeding
from messaging.gates._policy import read_once
from messaging.models import Account
from messaging.outbox import accounts, ledger, pacing
from messaging.outbox.claim import Claim, claim_due
from messaging.outbox.group import mark_group
from messaging.outbox.judge import judge_rows
from messaging.outbox.ledger import Change, lease_length
from messaging.outbox.parcels import Parcel, Render, read_parcels, render_all
from messaging.outbox.settle import Batch, count_states, note_bounces, settle, tell_failures
from messaging.render import render_group
from messaging.retry import retrying

log = logging.getLogger(__name__)
FRESH = 2.0  # seconds between the marker's commit and a message's first byte
FIRST_SPEED = 100.0  # messages a second, before we know better
LOOK_PAYS = 0.1  # the share of messages that gates stop, from which a look before rendering costs less than it saves
ERRORS = frozenset({Outcome.TRANSIENT, Outcome.UNKNOWN})
# messages a second, per account, as this process saw them: once marked, and over whole claims
_speeds: dict[int, float] = {}
_paces: dict[int, float] = {}
_losses: dict[int, float] = {}  # the share of messages that gates stopped lately, per account


@dataclass
class SendReport:
    """What one look did: rows claimed, and how many ended in which state."""

    claimed: int = 0
    states: dict[str, int] = field(default_factory=dict)

    def add(self, counted: dict[str, int]) -> None:
        for state, number in counted.items():
            self.states[state] = self.states.get(state, 0) + number


def send_due(
    *, worker: str, now_fn: Callable[[], datetime], render: Render = render_group, seconds: float = 20.0
) -> SendReport:
    """Send what is due on every account until nothing is, or `seconds` have passed. Any number of workers may
    do so at the same time. `render` turns jobs into pages (default: the kept render child)."""
    report, ends = SendReport(), time.monotonic() + seconds
    busy = accounts.usable(now_fn())
    while busy and time.monotonic() < ends:
        still = []
        for account in busy:
            claim = claim_due(account, speed=_paces.get(account.pk, FIRST_SPEED), now=now_fn())
            if claim is None:
                continue
            report.claimed += len(claim.ids)
            with read_once():
                _Run(claim, now_fn, render, report, ends).send()
            still.append(account)
        busy = still
    if report.claimed:
        log.info("worker %s claimed %d: %s", worker, report.claimed, report.states)
    return report


@dataclass
class _Run:
    """One claim on its way through judge, render and groups."""

    claim: Claim
    now_fn: Callable[[], datetime]
    render: Render
    report: SendReport
    ends: float
    handed: int = 0
    leased: float = field(default_factory=time.monotonic)

    @property
    def account(self) -> Account:
        return self.claim.account

    def send(self) -> None:
        left: Sequence[int] = self.claim.ids
        began = time.monotonic()
        try:
            parcels = self._prepare()
            left = [parcel.id for parcel in parcels]
            faultpoint("after_render")
            if parcels:
                with channels.get(self.account.channel).connect(accounts.sender_of(self.account)) as connection:
                    left = self._send_groups(deque(parcels), connection)
        except ChannelError as error:
            log.warning("account %s: %s", self.account.key, error)
            accounts.note_errors(self.account, 1, self.now_fn(), connecting=True, fatal=error.permanent)
        finally:
            self._release(left)
            learn(_paces, self.account.pk, len(self.claim.ids) - len(left), time.monotonic() - began)
            pacing.give_back(self.account, len(self.claim.ids) - self.handed)

    def _prepare(self) -> list[Parcel]:
        """The first look (without locks) where it pays, then rendering; what falls out is written at once."""
        now, ids, ghosts = self.now_fn(), self.claim.ids, set[int]()
        changes: list[Change] = []
        if _losses.get(self.account.pk, 1.0) >= LOOK_PAYS:
            judged = judge_rows(ids, token=self.claim.token, account=self.account, now=now, final=False)
            changes, ids = judged.changes, [row["id"] for row in judged.passed]
            ghosts = {row["id"] for row in judged.passed if row["ghost"]}
            mix(_losses, self.account.pk, len(changes) / len(self.claim.ids))
        parcels = read_parcels(ids, ghosts=ghosts)
        self._keep(self.claim.ids)
        feeding = Feeding(self.render, now)
        failed = feeding.held(
            render_all(parcels, render=feeding, account=self.account, now=now, keep=lambda: self._keep(self.claim.ids))
        )
        lost = {one.id for one in failed}
        self._write([*changes, *failed], now)
        return [parcel for parcel in parcels if parcel.id not in lost]

    def _write(self, changes: Sequence[Change], now: datetime) -> None:
        if not changes:
            return

        def work() -> list[Change]:
            with transaction.atomic():
                won = ledger.change(changes, was="claimed", token=self.claim.token)
                moved = [one for one in changes if one.id in won]
                tell_failures(moved, now=now)
                return moved

        self.report.add(count_states(retrying(work)))

    def _send_groups(self, waiting: deque[Parcel], connection: Connection) -> list[int]:
        """Mark and send group by group; returns the rows that were not marked."""
        channel = channels.get(self.account.channel)
        previous: Batch | None = None
        try:
            while waiting and not self._must_stop():
                group = take_group(waiting, self._size(channel))
                previous = self._send_group(group, waiting, connection, previous)
        finally:
            if previous is not None:
                self.report.add(settle(previous, now=self.now_fn()))
        return [parcel.id for parcel in waiting]

    def _send_group(
        self, group: list[Parcel], waiting: Iterable[Parcel], connection: Connection, previous: Batch | None
    ) -> Batch:
        now = self.now_fn()
        self._keep([parcel.id for parcel in (*group, *waiting)])
        marked = mark_group(group, account=self.account, token=self.claim.token, previous=previous, now=now)
        self.report.add(marked.counted)
        mix(_losses, self.account.pk, 1 - len(marked.batch.numbers) / len(group))
        by_ref = {parcel.id: parcel.outgoing for parcel in group}
        hand_over(marked.batch, by_ref, connection, committed=marked.at, now=now)
        self.handed += len(marked.batch.answers)
        self._after(marked.batch)
        return marked.batch

    def _after(self, batch: Batch) -> None:
        """Bounces and the account's health, before the rows are settled."""
        now = self.now_fn()
        note_bounces(batch, now=now)
        pacing.note_pace(self.account, batch.answers.values(), now)
        outcomes = [given.outcome for given in batch.answers.values() if given.outcome is not Outcome.NOT_BEGUN]
        errors = trailing_errors(outcomes)
        if errors < len(outcomes):
            accounts.note_success(self.account)
        if errors:
            accounts.note_errors(self.account, errors, now)

    def _size(self, channel: Channel) -> int:
        """As many as will begin within the freshness limit at the speed seen lately, up to the channel's most."""
        speed = _speeds.get(self.account.pk, FIRST_SPEED)
        return max(1, min(channel.group, int(speed * FRESH * 0.8)))

    def _must_stop(self) -> bool:
        """The account's breaker opened, it rests, or time is up; a claim sends one group at least, lest it was in
        vain."""
        rests = self.account.rests_until
        if self._open_until() is not None or (rests is not None and rests > self.now_fn()):
            return True
        return self.handed > 0 and time.monotonic() >= self.ends

    def _open_until(self) -> datetime | None:
        """Until when the account's breaker is open; None when it is closed, or this is its probe."""
        until = self.account.open_until
        return until if until is not None and until > self.now_fn() else None

    def _keep(self, ids: Sequence[int]) -> None:
        """Draw out the lease of the claimed rows when a third of it is gone."""
        if time.monotonic() - self.leased > lease_length().total_seconds() / 3:
            self.leased = time.monotonic()
            retrying(lambda: ledger.renew(ids, token=self.claim.token))

    def _release(self, ids: Sequence[int]) -> None:
        """Give back what was claimed and not begun: held while the account is and nobody stands in, else planned."""
        until = self._open_until()
        if until is not None and accounts.has_stand_in(self.account, self.now_fn()):
            until = None
        state, reason = ("held", f"breaker:{self.account.key}") if until else ("planned", "")
        changes = [Change(pk, state, reason, not_before=until) for pk in ids]
        self._write(changes, self.now_fn())


def take_group(waiting: deque[Parcel], size: int) -> list[Parcel]:
    """The next group, in order: at most one message per person and per address."""
    group: list[Parcel] = []
    later: list[Parcel] = []
    people: set[int] = set()
    addresses: set[int] = set()
    while waiting and len(group) < size:
        parcel = waiting.popleft()
        if parcel.profile in people or parcel.address in addresses:
            later.append(parcel)
            continue
        group.append(parcel)
        people.add(parcel.profile)
        if parcel.address is not None:
            addresses.add(parcel.address)
    waiting.extendleft(reversed(later))
    return group


def hand_over(
    batch: Batch, outgoing: dict[int, Outgoing | None], connection: Connection, *, committed: float, now: datetime
) -> None:
    """Give a marked group to the channel and keep each answer. What cannot begin while the marker is fresh, or
    after the breaker's number of errors in a row, has surely not begun, unless the call of another took it along."""
    began = time.monotonic()
    ids = [pk for pk in outgoing if pk in batch.numbers]
    messages = {pk: _dated(outgoing[pk], now) for pk in ids}
    answers = iter(connection.send(list(messages.values())))
    taken: Container[str] = getattr(connection, "begun", ())
    errors = batch.account.errors
    for pk in ids:
        tripped = errors >= pacing.THRESHOLD and pk != ids[0]
        stale = (time.monotonic() - committed > FRESH or tripped) and messages[pk].ref not in taken
        given = Answer(Outcome.NOT_BEGUN) if stale else _next(answers)
        batch.answers[pk] = given
        if given.outcome is not Outcome.NOT_BEGUN:
            errors = errors + 1 if given.outcome in ERRORS else 0
    spent = time.monotonic() - began
    begun = sum(given.outcome is not Outcome.NOT_BEGUN for given in batch.answers.values())
    learn(_speeds, batch.account.pk, begun, spent)


def learn(speeds: dict[int, float], account: int, count: int, seconds: float) -> None:
    """Mix what was just seen into what is remembered."""
    if count:
        mix(speeds, account, count / max(seconds, 1e-6))


def mix(known: dict[int, float], account: int, value: float) -> None:
    """Remember mostly what was known, and somewhat what was just seen."""
    known[account] = 0.7 * known.get(account, value) + 0.3 * value


def _dated(message: Outgoing | None, now: datetime) -> Outgoing:
    assert message is not None
    message.at = now
    return message


def _next(answers: Any) -> Answer:
    """The next answer; a channel that raises after the marker leaves its message in doubt."""
    try:
        return next(answers)  # type: ignore[no-any-return]
    except Exception as error:
        log.exception("the channel raised")
        return Answer(Outcome.UNKNOWN, f"raised {type(error).__name__}")


def trailing_errors(outcomes: Sequence[Outcome]) -> int:
    """How many errors in a row stand at the end."""
    count = 0
    for outcome in reversed(outcomes):
        if outcome not in ERRORS:
            break
        count += 1
    return count
