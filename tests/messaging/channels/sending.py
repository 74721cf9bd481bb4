"""Handing messages to a channel, as the outbox does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from messaging.channels import Answer, Device, Outgoing, Sender, channels

AT = datetime(2026, 11, 2, 10, tzinfo=UTC)


def send(channel: str, sender: Sender, *to: str, **parts: str) -> list[Answer]:
    """One message of those parts to each, named ref-0, ref-1 …"""
    return hand(
        channel, sender, [Outgoing(f"ref-{n}", one, "", parts or {"text": "Hello"}, at=AT) for n, one in enumerate(to)]
    )


def push(channel: str, sender: Sender, *devices: Device | tuple[Device, ...], **parts: str) -> list[Answer]:
    """One message to each person, by their device or devices; it expires in an hour."""
    parts = parts or {"title": "Hello", "body": "梅 & co", "url": "https://shop.example/c/1"}
    batch = [
        Outgoing(f"ref-{n}", "", "", parts, at=AT, expires_at=AT + timedelta(hours=1), devices=one)
        for n, one in enumerate(one if isinstance(one, tuple) else (one,) for one in devices)
    ]
    return hand(channel, sender, batch)


def hand(channel: str, sender: Sender, batch: list[Outgoing]) -> list[Answer]:
    with channels.get(channel).connect(sender) as connection:
        return list(connection.send(batch))
