"""What is asked of the renderer, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RenderJob:
    """One message to render: delivery by id and public id, a TemplateVersion's id, the locale wished for, plain
    variables (profile, event, coupon, points, level, journey, brand), UTM by "utm_source" …, and the address row."""

    delivery: int
    public_id: str
    version: int
    locale: str
    context: Mapping[str, Any]
    utm: Mapping[str, str] = field(default_factory=dict)
    address: int | None = None
    journey: str = ""
    node: str = ""


@dataclass(frozen=True)
class Rendered:
    """The finished parts (subject on one line), the headers of the channel, and the locale that was chosen."""

    parts: dict[str, str]
    headers: dict[str, str] = field(default_factory=dict)
    locale: str = "en"

    @property
    def subject(self) -> str:
        return self.parts.get("subject", self.parts.get("title", ""))


class RenderError(Exception):
    """This message cannot be rendered. `permanent` False: the renderer had no time, ask again."""

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        super().__init__(message)
        self.permanent = permanent
