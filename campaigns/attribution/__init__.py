"""The contract of an attribution model, and the registry that holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from common.registry import Registry


@dataclass(frozen=True)
class Step:
    """One touch of a path, oldest first."""

    touch: int
    at: datetime
    channel: str


class Model(ABC):
    """Weights over a path of touches; they are ≥ 0 and sum to 1."""

    key: ClassVar[str]
    name: ClassVar[str]
    name_zh: ClassVar[str]

    @abstractmethod
    def weights(self, path: Sequence[Step], converted_at: datetime) -> list[float]:
        """One weight per touch of a non-empty path, in its order."""


models: Registry[Model] = Registry("attribution models", "campaigns.attribution")
