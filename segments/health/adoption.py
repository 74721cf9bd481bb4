"""Adoption: which share of the key features somebody used in the last 28 days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated

from pydantic import Field, field_validator

from common.params import Params
from common.text import say
from segments.health import About, Mark, Metric, metrics
from segments.health._marks import days

SHOP = ("Product Viewed", "Product Added", "Order Completed")
Name = Annotated[str, Field(min_length=1, max_length=200)]


class AdoptionParams(Params):
    """The key features: names of facts, each of which shows that its feature was used; a shop's by default."""

    features: Annotated[list[Name], Field(max_length=50)] = Field(default_factory=lambda: list(SHOP))

    @field_validator("features")
    @classmethod
    def _once(cls, features: list[str]) -> list[str]:
        if len(set(features)) != len(features):
            raise ValueError("name each feature once")
        return features


@metrics.register("adoption")
class Adoption(Metric[AdoptionParams]):
    """Key features used over key features there are. Without any it is unknown for everybody."""

    key = "adoption"
    place = 2
    weight = 0.35
    bounds = (0.0, 1.0)
    width = 28
    silent = True
    Params = AdoptionParams

    def facts(self, params: AdoptionParams) -> frozenset[str]:
        return frozenset(params.features)

    def marks(self, params: AdoptionParams, about: About) -> Iterable[tuple[int, Mark]]:
        return days(about, params.features)

    def value(self, params: AdoptionParams, marks: Sequence[Mark], today: date) -> float | None:
        return len({mark.what for mark in marks}) / len(params.features)

    def title(self, language: str) -> str:
        return say("Feature adoption", "功能渗透", language)

    def say(self, params: AdoptionParams, value: float, language: str) -> str:
        used, known = round(value * len(params.features)), len(params.features)
        return say(
            f"{used} of {known} key features in the last 28 days", f"最近 28 天使用 {used}/{known} 个关键功能", language
        )

    def ready(self, params: AdoptionParams) -> bool:
        return bool(params.features)
