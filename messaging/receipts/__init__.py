"""The contract of a provider's receipts, and the registry that holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from common.registry import Registry


@dataclass(frozen=True)
class Call:
    """One call of a provider: the raw body, the headers by lower-case name, and the address as the provider calls it
    (PUBLIC_URL with path and query, whatever a proxy made of it)."""

    body: bytes
    headers: Mapping[str, str]
    url: str = ""


@dataclass(frozen=True)
class Word:
    """One later word about one message, normalised. `kind` is a Receipt.Kind; `ref` holds the delivery's public id
    (alone, or in our Message-ID); `natural_key` is the same however often the provider repeats itself."""

    kind: str
    ref: str
    natural_key: str
    at: datetime
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Heard:
    """One message that a person wrote to us: over which channel, from which address, and what it says. `ref` holds
    our message that it answers, where that is known; `intent` is "stop" or "start" where the provider says so."""

    channel: str
    sender: str
    text: str
    natural_key: str
    at: datetime
    raw: Mapping[str, Any]
    ref: str = ""
    intent: str = ""


class Receiver(ABC):
    """One provider's webhook: proves the signature over the raw body first, then reads it. `reply` is the content
    type and body of a good answer, where the provider asks for one of its own."""

    key: ClassVar[str]
    reply: ClassVar[tuple[str, str] | None] = None

    @abstractmethod
    def verify(self, call: Call, secrets: list[str], now: datetime) -> bool:
        """Whether one of the secrets signed this call, and within five minutes of `now` where the provider signs a
        time (constant time)."""

    @abstractmethod
    def read(self, call: Call, now: datetime) -> Iterable[Word | Heard]:
        """The words in a verified call. Raises ValueError when it cannot be read."""


receivers: Registry[Receiver] = Registry("receipts", "messaging.receipts")
