"""What an operator may choose about RFM: the window, what M is, and thresholds instead of quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from pydantic import Field, field_validator, model_validator

from common.audit import record
from common.params import Params, read_params
from segments.models import RfmEdges
from segments.rfm import AXES, WINDOW_DAYS, Choices, Edges, compute_edges

Threshold = Annotated[float, Field(ge=0, le=1e15)]
Four = Annotated[list[Threshold], Field(max_length=4)]


class RfmSettings(Params):
    """A window of `window_days`, today included; M as the sum or the mean of net amounts; F as the number of orders or
    of the days with one.

    In mode "fixed" each of `recency` (days), `frequency` (orders) and `monetary` (minor units of the reporting
    currency) names four ascending thresholds; a value above k of them scores 1 + k, and recency 6 less that. The
    octants cut each axis in two at the mean, the median, or where `octants_at` says (days, orders, minor units).
    """

    window_days: Annotated[int, Field(ge=1, le=3650)] = WINDOW_DAYS
    money: Literal["sum", "mean"] = "sum"
    counted: Literal["orders", "days"] = "orders"
    mode: Literal["quantile", "fixed"] = "quantile"
    recency: Four = Field(default_factory=list)
    frequency: Four = Field(default_factory=list)
    monetary: Four = Field(default_factory=list)
    octants: Literal["mean", "median", "fixed"] = "mean"
    octants_at: Annotated[list[Threshold], Field(max_length=3)] = Field(default_factory=list)

    @field_validator("recency", "frequency", "monetary")
    @classmethod
    def _ascend(cls, given: list[float]) -> list[float]:
        if given and (len(given) != 4 or any(low >= high for low, high in pairwise(given))):
            raise ValueError(_("give four ascending thresholds"))
        return given

    @model_validator(mode="after")
    def _fit(self) -> RfmSettings:
        given = [bool(axis) for axis in (self.recency, self.frequency, self.monetary)]
        if self.mode == "fixed" and not all(given):
            raise ValueError(_("mode fixed needs thresholds for recency, frequency and monetary"))
        if self.mode == "quantile" and any(given):
            raise ValueError(_("thresholds are used in mode fixed only"))
        return self

    @model_validator(mode="after")
    def _halve(self) -> RfmSettings:
        if self.octants == "fixed" and len(self.octants_at) != 3:
            raise ValueError(_("fixed quadrants need three thresholds: recency, frequency and money"))
        if self.octants != "fixed" and self.octants_at:
            raise ValueError(_("thresholds of quadrants are used where they are fixed only"))
        return self


def choose_edges(raw: Mapping[str, Any], *, now: datetime, zone: ZoneInfo, actor: Any = None) -> Edges:
    """Put an operator's settings in force with new edges; the next looks score everybody anew.

    Raises Invalid with every problem. Later renewals keep the settings.
    """
    settings = read_params(RfmSettings, raw)
    edges = compute_edges(now, zone=zone, choices=_choices(settings))
    record("rfm.edges", f"RFM edges:{edges.pk}", now=now, actor=actor, detail=settings.model_dump())
    return edges


def _choices(settings: RfmSettings) -> Choices:
    chosen = settings.model_dump(exclude={"octants", "octants_at"})
    return Choices(**chosen, halves=settings.octants, limits=settings.octants_at)


def edges_settings() -> RfmSettings:
    """The settings in force, as a form shows them; the defaults before the first run."""
    row = RfmEdges.objects.order_by("-computed_at", "-pk").first()
    if row is None:
        return RfmSettings()
    plain = {"window_days": row.window_days, "money": row.money, "mode": row.mode, "counted": row.counted}
    if row.mode == "fixed":
        plain |= {"recency": row.recency, "frequency": row.frequency, "monetary": row.monetary}
    plain["octants"] = row.halves
    if row.halves == "fixed":
        plain["octants_at"] = [row.means[axis] for axis in AXES]
    return RfmSettings.model_validate(plain)
