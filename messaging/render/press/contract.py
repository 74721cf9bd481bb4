"""What is asked of the press, and what it answers; both travel as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from messaging.places import Image, Link, Place, Seen


@dataclass(frozen=True)
class Kind:
    """What publishing needs of a channel: its HTML parts, whether it shows opens, and the workspace's address."""

    html: frozenset[str]
    opens: bool
    brand_url: str
    locale: str


@dataclass
class Page:
    """The parts of one locale while they are worked on, the places of links found, what is wrong as (part, message),
    and what is seen in each source."""

    parts: dict[str, str] = field(default_factory=dict)
    links: list[Place] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)

    def frozen(self) -> dict[str, Any]:
        """As it is stored in a version: the parts, and "links" in order."""
        return {**self.parts, "links": [asdict(link) for link in self.links]}

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Page:
        """A page that came as `asdict` of one."""
        return cls(
            said["parts"],
            [Place(**place) for place in said["links"]],
            [(part, message) for part, message in said["faults"]],
            {part: _seen(one) for part, one in said["seen"].items()},
        )


def _seen(said: Mapping[str, Any]) -> Seen:
    return Seen(
        tuple(Link(**one) for one in said["links"]),
        tuple(Image(**one) for one in said["images"]),
        tuple((line, text) for line, text in said["words"]),
    )
