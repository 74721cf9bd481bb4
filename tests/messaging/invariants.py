"""What must hold after every fault: judged from the mail server's own record, not from our tables alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from messaging.models import Attempt, Delivery
from messaging.outbox.reads import balance

RecordLine = dict[str, Any]


def check(mails: list[RecordLine], *, planned: int, doubt_at_most: int) -> None:
    """None twice, none lost, none unaccounted for, none invented; doubt named and bounded."""
    seen = Counter(mail["headers"]["X-Delivery"] for mail in mails)
    twice = {ref: count for ref, count in seen.items() if count > 1}
    assert not twice, f"sent more than once: {twice}"
    by_recipient = Counter(mail["to"][0] for mail in mails)
    assert max(by_recipient.values(), default=0) <= 1, "a recipient has it twice"

    rows = {str(row.public_id): row for row in Delivery.objects.all()}
    assert len(rows) == planned
    assert seen.keys() <= rows.keys(), "the server has what we never planned"
    tried = set(Attempt.objects.values_list("delivery__public_id", flat=True))
    assert {ref for ref in seen if rows[ref].public_id not in tried} == set(), "sent without a marker"

    accepted = {ref for ref, row in rows.items() if row.state == "accepted"}
    assert accepted <= seen.keys(), "accepted without the server's record"
    unexplained = {ref for ref in seen if rows[ref].state not in ("accepted", "in_doubt", "unknown")}
    assert not unexplained, f"sent, but the ledger says otherwise: {[(ref, rows[ref].state) for ref in unexplained]}"

    found = balance()
    assert found.planned == planned
    assert found.adds_up, found
    assert found.in_doubt <= doubt_at_most, found
    stuck = [(row.state, row.reason) for row in rows.values() if row.state in ("claimed", "attempting")]
    assert not stuck, stuck
    unnamed = [
        row for row in rows.values() if row.state in ("held", "in_doubt", "skipped", "rejected") and not row.reason
    ]
    assert not unnamed, "a state without a reason"
