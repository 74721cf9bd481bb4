"""Chance as a function: stable hashes decide arms, holdouts, shards and random buckets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import UUID

SHARDS = 16
BUCKETS = 10_000


def unit(salt: str, subject: UUID | str) -> float:
    """A number in [0, 1) that depends only on salt and subject.

    First 8 bytes of SHA-256("salt:subject"), big-endian, over 2**64.
    """
    digest = hashlib.sha256(f"{salt}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def pick(salt: str, subject: UUID | str, weights: Sequence[float]) -> int:
    """Index of the first arm whose cumulative share exceeds the draw; weights need not sum to 1."""
    total = sum(weights)
    draw, reached = unit(salt, subject) * total, 0.0
    for index, weight in enumerate(weights):
        reached += weight
        if draw < reached:
            return index
    return len(weights) - 1


def shard_of(public_id: UUID | str) -> int:
    """The reader shard, 0 to 15, of a profile: the last hexadecimal digit of SHA-256 over its id."""
    return hashlib.sha256(str(public_id).encode()).digest()[-1] % SHARDS


def bucket_of(public_id: UUID | str) -> int:
    """The stable random bucket, 0 to 9999, of a profile (salt "bucket")."""
    return int(unit("bucket", public_id) * BUCKETS)
