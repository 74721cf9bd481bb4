"""Who may be written to: addresses, statements of will and suppression, under the lock that the gate takes too.

Nothing here cancels a message. The gate reads the address row in the transaction that commits the marker, so
after one of these verbs returns no further marker is committed against it (docs/delivery.md).
"""

from __future__ import annotations

from messaging.permission.addresses import address_for, columns_for, ensure_addresses, place_of
from messaging.permission.consent import after, ask_consent, give_consent, record, take_back, withdraw
from messaging.permission.owner import lock, tell
from messaging.permission.suppression import (
    digest,
    gravity,
    is_suppressed,
    lift_suppression,
    note_bounce,
    note_success,
    suppress,
    suppress_value,
)

__all__ = [
    "address_for", "after", "ask_consent", "columns_for", "digest", "ensure_addresses", "give_consent", "gravity",
    "is_suppressed", "lift_suppression", "lock", "note_bounce", "note_success", "place_of", "record", "suppress",
    "suppress_value", "take_back", "tell", "withdraw",
]  # fmt: skip
