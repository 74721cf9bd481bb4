"""The contract of a report, and the registry that holds them.

A report has parameters, and answers with columns and rows that page, CSV and API show alike, a line that says
what it means, what must stand beside the numbers, and the reasons for which it refuses to show some.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from common.params import Params
from common.registry import Registry

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Column:
    """`kind`: text, count, money (minor units), share (0 to 1), interval (pair of shares), time."""

    key: str
    title: str
    title_zh: str
    kind: str = "text"


@dataclass(frozen=True)
class Chart:
    """What to draw: `kind` bar or line, `x` a column key, `series` column keys."""

    kind: str
    x: str
    series: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A finished report. `notes` must be printed with it (model, window, zone …) as (English, Chinese) pairs;
    `refusals` say what is not shown, and why; `total` is the row of sums."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    total: Mapping[str, Any] = field(default_factory=dict)
    chart: Chart | None = None
    meaning: tuple[str, str] = ("", "")
    notes: Sequence[tuple[str, str]] = ()
    refusals: Sequence[tuple[str, str]] = ()
    currency: str = ""


class Report(ABC, Generic[P]):
    """One report, addressed by `key` in the admin and at /api/reports/<key>. `words` has the names of parameters'
    values as (English, Chinese) pairs; others are shown as they are written."""

    key: ClassVar[str]
    title: ClassVar[str]
    title_zh: ClassVar[str]
    Params: type[P]
    words: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def in_force(self, params: P, now: datetime) -> P:
        """The parameters with whatever stands in for those left empty, as the form shows them."""
        return params

    @abstractmethod
    def run(self, params: P, now: datetime) -> Table:
        """The report as of `now`."""


reports: Registry[Report[Any]] = Registry("reports", "campaigns.reports")
