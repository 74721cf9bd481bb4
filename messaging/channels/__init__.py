"""The contract of a channel, and the registry that holds them.

A channel takes a batch of rendered messages for one account and answers for each: sent, transient (with a time
to retry), permanent, unknown, or surely not begun. It knows its wire, never the ledger.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from common.registry import Registry


class Outcome(StrEnum):
    """The answer for one message; values are those of messaging.models.Attempt.Outcome."""

    SENT = "sent"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    NOT_BEGUN = "not_begun"


class Bounce(StrEnum):
    """What a permanent refusal says about the address: nothing (this message or our policy was refused), there is no
    such address, it takes nothing for now (full), or its owner wants no more."""

    NONE = ""
    HARD = "hard"
    SOFT = "soft"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True)
class Answer:
    """What became of one message. `retry_at` only with transient, `bounce` only with permanent; `code` is the
    provider's ("550 5.1.1"); `gone` are devices (ids) that the provider knows no more, whatever became of it."""

    outcome: Outcome
    code: str = ""
    provider_ref: str = ""
    retry_at: datetime | None = None
    bounce: Bounce = Bounce.NONE
    slows: bool = field(default=False, compare=False)  # with transient: the whole account must slow down
    gone: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sender:
    """The part of an Account that a channel needs; `settings` is its JSON, secrets already read."""

    key: str
    transport: str
    sender: str
    reply_to: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Device:
    """One app or browser of a person: the token its provider is told, and what a message to it is encrypted with."""

    id: int
    token: str
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outgoing:
    """One rendered message. `parts` by name (subject, preheader, html, text …); `headers` are channel headers
    (List-Unsubscribe); `message_id` is the same on every re-send; `ref` is the delivery's public id."""

    ref: str
    to: str
    to_name: str
    parts: Mapping[str, str]
    message_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    locale: str = "en"
    profile_id: int = 0
    expires_at: datetime | None = None
    return_token: str = ""  # names the message in its return path, where the account has a place for it
    devices: tuple[Device, ...] = ()  # of a channel that registers them
    at: datetime | None = None  # for the Date header; the one field that changes, set when it is handed over


class Connection(Protocol):
    """An open way to the provider, kept between batches by the worker. One that hands over several messages in one
    call also has `begun`, the refs of those that a call has taken along."""

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        """One Answer per message, in order, each as soon as it is known. Never raises for one message's sake."""
        ...

    def close(self) -> None: ...


class ChannelError(Exception):
    """The account cannot be used now (`permanent` False) or as configured (True); no message has begun."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True)
class Limit:
    """The most that a provider takes of a part ("" for all parts together), in bytes or in segments of SMS."""

    part: str
    most: int
    unit: str = "bytes"


class Channel(ABC):
    """One way to reach people. `parts` are the template parts it needs, `html` those that are HTML, `reads` what
    `address_of` looks at: columns of a person (email, phone), or names of traits."""

    key: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]
    html: ClassVar[frozenset[str]] = frozenset()
    reads: ClassVar[tuple[str, ...]] = ()
    medium: ClassVar[str] = ""  # the utm_medium its links carry; "" leaves links untagged
    tracks_opens: ClassVar[bool] = False
    needs_address: ClassVar[bool] = True  # False: the profile itself is the address (inbox)
    registers: ClassVar[bool] = False  # True: a person is reached by the devices that their app registers
    stores: ClassVar[bool] = False  # True: the row of the ledger is the message, and nothing leaves the house
    group: ClassVar[int] = 20  # messages marked in one commit, at most
    transports: ClassVar[tuple[str, ...]] = ()
    batches: ClassVar[frozenset[str]] = frozenset()  # transports that can take several messages in one call
    limits: ClassVar[tuple[Limit, ...]] = ()
    a_minute: ClassVar[int | None] = None  # messages that the provider takes of one account, where it says so

    @abstractmethod
    def address_of(self, traits: Mapping[str, Any]) -> str:
        """The normalised address of a person from what it `reads`; "" when there is none."""

    def check(self, message: Outgoing) -> str:
        """Why this rendered message can never be sent (a line break in a header), or ""; asked before the marker."""
        return ""

    @abstractmethod
    def connect(self, sender: Sender) -> AbstractContextManager[Connection]:
        """Open (or reuse) a connection. Raises ChannelError before any message has begun."""


channels: Registry[Channel] = Registry("channels", "messaging.channels")
