"""The contract of a provider's receipts, and the registry that holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from common.registry import Registry


@dataclass(frozen=True)
class Word:
    """One later word about one message, normalised. `kind` is a Receipt.Kind; `ref` holds the delivery's public id
    (alone, or in our Message-ID); `natural_key` is the same however often the provider repeats itself."""

    kind: str
    ref: str
    natural_key: str
    at: datetime
    raw: Mapping[str, Any]


class Receiver(ABC):
    """One provider's webhook: proves the signature over the raw body first, then reads it."""

    key: ClassVar[str]

    @abstractmethod
    def verify(self, body: bytes, headers: Mapping[str, str], secrets: list[str], now: datetime) -> bool:
        """Whether one of the secrets signed this body within five minutes of `now` (constant time)."""

    @abstractmethod
    def read(self, body: bytes, now: datetime) -> Iterable[Word]:
        """The words in a verified body. Raises ValueError when it cannot be read."""


receivers: Registry[Receiver] = Registry("receipts", "messaging.receipts")
