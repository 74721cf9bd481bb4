"""Handing messages to a channel, as the outbox does."""

from __future__ import annotations

from datetime import UTC, datetime

from messaging.channels import Answer, Outgoing, Sender, channels

AT = datetime(2026, 11, 2, 10, tzinfo=UTC)


def send(channel: str, sender: Sender, *to: str, **parts: str) -> list[Answer]:
    """One message of those parts to each, named ref-0, ref-1 …"""
    batch = [Outgoing(f"ref-{n}", one, "", parts or {"text": "Hello"}, at=AT) for n, one in enumerate(to)]
    with channels.get(channel).connect(sender) as connection:
        return list(connection.send(batch))
