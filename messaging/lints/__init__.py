"""The contract of a lint, and the registry that holds them.

A lint judges a draft that others have read, pressed and tried: it looks at plain data, changes nothing and calls
nobody. An error keeps the draft from being published; a warning asks a person to confirm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from common.registry import Registry
from messaging.places import Seen


class Severity(StrEnum):
    """What a finding does to publishing."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that a lint says, and where: language, part, line, and the block in which that line stands ("" for the
    template itself). `message` is in the active language."""

    severity: Severity
    message: str
    locale: str = ""
    part: str = ""
    line: int = 0
    block: str = ""
    lint: str = ""


@dataclass(frozen=True)
class Use:
    """A variable that a part takes from outside: profile.first_name is ("profile", "first_name"). `sure`: it has a
    default, so nothing fails when it is missing."""

    root: str
    step: str
    line: int
    sure: bool


@dataclass(frozen=True)
class Part:
    """One part of one language as its author wrote it, blocks in place, with what was read in it."""

    source: str
    html: bool
    uses: tuple[Use, ...] = ()
    seen: Seen = field(default_factory=Seen)

    def names(self, root: str, step: str) -> bool:
        """Whether the part takes this variable."""
        return any(use.root == root and use.step == step for use in self.uses)


@dataclass(frozen=True)
class Count:
    """A short message as the network counts it: alphabet, characters (septets or code units), and parts."""

    alphabet: str
    units: int
    segments: int


@dataclass(frozen=True)
class Variant:
    """One language of a draft. `rendered` is the message for the sample data (nothing when it could not be made);
    `count` what its text costs as a short message, for channels that send one."""

    locale: str
    parts: Mapping[str, Part]
    rendered: Mapping[str, str] = field(default_factory=dict)
    count: Count | None = None


@dataclass(frozen=True)
class Draft:
    """A whole draft. `wanted` are the languages that the workspace writes in; `fallbacks` (block, language wished,
    language taken) where a block lacks a language."""

    key: str
    channel: str
    klass: str
    variants: Mapping[str, Variant]
    sample: Mapping[str, Any] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()
    fallbacks: frozenset[tuple[str, str, str]] = frozenset()


class Lint(ABC):
    """One thing to look for."""

    key: ClassVar[str]

    @abstractmethod
    def find(self, draft: Draft) -> Iterator[Finding]:
        """What is wrong with the draft, in the order of its languages, parts and lines. May read the database, in a
        number of statements that does not depend on the draft."""


lints: Registry[Lint] = Registry("lints", "messaging.lints")


def every_part(draft: Draft) -> Iterator[tuple[str, str, Part]]:
    """Language, name and part, for all of them."""
    for locale, variant in draft.variants.items():
        for name, part in variant.parts.items():
            yield locale, name, part
