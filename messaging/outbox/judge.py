"""Judging: one query over a set of rows with every gate's columns, then each gate's word in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.models import CharField, F, Q, QuerySet, TextField, Value
from django.db.models.functions import MD5, Cast, Concat

from common.compiled import Rows, ask_rows
from messaging.channels import channels
from messaging.gates import Gate, Ruling, Sent, Verdict, in_order
from messaging.gates._policy import read_once
from messaging.models import Account, Delivery
from messaging.outbox.ledger import Change

log = logging.getLogger(__name__)
BASE = (
    "id", "public_id", "klass", "channel", "topic", "profile_id", "address_id", "version_id", "campaign", "journey",
    "enrolment", "node", "variant", "ghost", "priority", "planned_at", "not_before", "expires_at", "attempts", "claims",
    "lease_token",
)  # fmt: skip
_ANY = datetime(2000, 1, 1, tzinfo=UTC)
MOST_CLAIMS = 5
STUMBLE = timedelta(seconds=30)  # a row whose gate raised waits this long
STATES = {Ruling.HOLD: "held", Ruling.SKIP: "skipped", Ruling.EXPIRE: "expired", Ruling.CANCEL: "cancelled"}
HOLDOUT = "holdout"
RIVAL = timedelta(hours=1)  # who has been due for longer than this hinders nobody any more


@dataclass(frozen=True)
class Judged:
    """The rows that passed, and what becomes of the others (ghosts that passed among them)."""

    passed: list[dict[str, Any]]
    changes: list[Change]


def judge_rows(
    ids: Sequence[int], *, token: UUID, account: Account, now: datetime, final: bool, people: Sequence[int] = ()
) -> Judged:
    """Judge the claimed rows among `ids`. `final` is the look under the locks: ghosts end there. Whoever knows whose
    rows they are says so (profile ids), and saves a journey to the database."""
    return ask_judged(ids, token=token, account=account, now=now, final=final, people=people)()


def ask_judged(
    ids: Sequence[int], *, token: UUID, account: Account, now: datetime, final: bool, people: Sequence[int] = ()
) -> Callable[[], Judged]:
    """Ask for what the gates need; what is returned waits for it and judges."""
    with read_once():
        gates = in_order()
        asked = _ask_claimed(ids, gates, now)
        recent = _ask_recent(people, gates, now) if people else None
        coming = {gate.key: gate.ask(now) for gate in gates}

    def finish() -> Judged:
        with read_once():
            rows = _claimed(asked(), ids, gates, token=token, account=account)
            others = recent or _ask_recent([row["profile_id"] for row in rows], gates, now)
            _add_recent(rows, others())
            return _judge(rows, gates, {key: wait() for key, wait in coming.items()}, now, final=final)

    return finish


def _judge(
    rows: Sequence[dict[str, Any]], gates: Sequence[Gate], prepared: Mapping[str, Any], now: datetime, *, final: bool
) -> Judged:
    passed, changes = [], []
    for row in rows:
        outcome = _judge_one(row, gates, prepared, now)
        if outcome is not None and outcome.reason == HOLDOUT:
            row["ghost"], outcome = True, None
        if outcome is None and row["ghost"] and final:
            outcome = ghosted(row, now)
        if outcome is None:
            passed.append(row)
        else:
            changes.append(outcome)
    return Judged(passed, changes)


def _ask_claimed(ids: Sequence[int], gates: Sequence[Gate], now: datetime) -> Callable[[], Rows]:
    """Ask for the rows as gates see them."""
    names = _names(tuple(gates))

    def build(at: datetime) -> QuerySet[Delivery, tuple[Any, ...]]:
        columns = {name: made for gate in gates for name, made in gate.columns(at).items()}
        return Delivery.objects.filter(state="claimed").annotate(**columns).values_list(*names)

    return ask_rows(("gates", *gates), build, "pk", ids, now)


def _claimed(
    found: Rows, ids: Sequence[int], gates: Sequence[Gate], *, token: UUID, account: Account
) -> list[dict[str, Any]]:
    """The rows in the order of `ids`; those no longer claimed under this token are left out."""
    names = _names(tuple(gates))
    by_id = {row[0]: dict(zip(names, row, strict=True)) for row in found}
    rows = [by_id[pk] for pk in ids if pk in by_id and by_id[pk]["lease_token"] == token]
    needs_address = channels.get(account.channel).needs_address
    for row in rows:
        row["account_key"] = account.key
        row["needs_address"] = needs_address
    return rows


@lru_cache(maxsize=16)
def _names(gates: tuple[Gate, ...]) -> list[str]:
    """The names of a row's values: the columns of gates are the same at any time."""
    return [*BASE, *(name for gate in gates for name in gate.columns(_ANY))]


def _ask_recent(people: Sequence[int], gates: Sequence[Gate], now: datetime) -> Callable[[], Rows]:
    """Ask for the people's messages that passed their last gate within the longest look back of a gate, and for those
    that are due."""
    lookback, compare = max(gate.lookback(now) for gate in gates), any(gate.compares(now) for gate in gates)
    chosen = ("profile_id", "id", "priority", "channel", "klass", "topic", "campaign", "sent_at", "not_before")

    def build(at: datetime) -> QuerySet[Delivery, tuple[Any, ...]]:
        due = Q(state="claimed") | Q(state="planned", not_before__lte=at, not_before__gt=at - RIVAL)
        found = Delivery.objects.filter(due | Q(sent_at__gt=at - lookback))
        return found.annotate(content=_CONTENT if compare else Value("")).values_list(*chosen, "content")

    if not lookback or not people:
        return list
    return ask_rows(("recent", lookback, compare), build, "profile_id", sorted(set(people)), now)


def _add_recent(rows: Sequence[dict[str, Any]], found: Rows) -> None:
    """Give every row the person's other messages: those that passed their last gate, and those that go first."""
    people: dict[int, list[tuple[Any, ...]]] = {}
    for who, *one in found:
        people.setdefault(who, []).append(tuple(one))
    for row in rows:
        _beside(row, people.get(row["profile_id"], ()))


_CONTENT = MD5(
    Concat(Cast(F("version_id"), CharField()), Value(":"), Cast(F("context"), TextField()), output_field=TextField())
)


def _beside(row: dict[str, Any], found: Sequence[tuple[Any, ...]]) -> None:
    """Sort a person's messages into what was sent, what goes first, and the row itself."""
    row["recent"], row["rivals"], row["content"] = [], [], ""
    for pk, priority, channel, klass, topic, campaign, sent_at, not_before, content in found:
        if pk == row["id"]:
            row["content"] = content
        elif sent_at is not None:
            row["recent"].append(Sent(channel, klass, topic, campaign, sent_at, content))
        elif priority > row["priority"]:
            row["rivals"].append(Sent(channel, klass, topic, campaign, not_before, content))


def _judge_one(
    row: Mapping[str, Any], gates: Sequence[Gate], prepared: Mapping[str, Any], now: datetime
) -> Change | None:
    for gate in gates:
        if row["klass"] not in gate.classes:
            continue
        try:
            verdict = gate.judge(row, now, prepared[gate.key])
        except Exception:
            log.exception("gate %s could not judge delivery %s", gate.key, row["public_id"])
            return stumbled(row, f"gate:{gate.key}", now)
        if verdict is not None:
            return ruled(row, verdict, now)
    return None


def ruled(row: Mapping[str, Any], verdict: Verdict, now: datetime) -> Change:
    """A gate's objection as a change. A hold that would outlast the message lets it expire, with the reason."""
    state, until, pk = STATES[verdict.ruling], verdict.until, row["id"]
    if state != "held":
        return Change(pk, state, verdict.reason, settled_at=now)
    if until is not None and row["expires_at"] is not None and until >= row["expires_at"]:
        return Change(pk, "expired", verdict.reason, settled_at=now)
    return Change(pk, "held", verdict.reason, not_before=until)


def ghosted(row: Mapping[str, Any], now: datetime) -> Change:
    """A held-out person's message: recorded as if sent, so that caps count it, and never sent."""
    return Change(row["id"], "skipped", HOLDOUT, sent_at=now, settled_at=now, ghost=True)


def stumbled(row: Mapping[str, Any], reason: str, now: datetime) -> Change:
    """Something raised before the marker: it costs this row a claim; after five it is poisoned."""
    if row["claims"] >= MOST_CLAIMS:
        return Change(row["id"], "poisoned", reason, settled_at=now, claims=1)
    return Change(row["id"], "planned", reason, not_before=now + STUMBLE, claims=1)
