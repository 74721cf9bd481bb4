"""Back-tests: they come to what really happened, change nothing, send nothing, and can be stopped and taken up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from campaigns import tasks as campaign_tasks
from campaigns.install import install_recipe
from campaigns.models import Enrolment, Journey, Rehearsal
from campaigns.reads import funnel
from campaigns.rehearsal import run, scratch
from common import clock
from config.demo import data
from config.demo.names import person
from messaging import tasks as message_tasks
from messaging.models import Account, Delivery
from segments import tasks as people_tasks
from segments.health_scores import judge_all
from segments.ingest import ingest
from segments.models import Event, Profile, Source
from segments.refresh import refresh_due
from segments.scores import score_all
from tests.harness import free_port

KEY = "churn-winback"
ROUNDS = 4
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1500)]


@pytest.fixture
def size(prove: bool) -> tuple[int, int, int]:
    """Households, days, minutes between two looks."""
    return (250, 90, 360) if prove else (60, 24, 1440)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Path]:
    """A mail server on loopback, and its record."""
    port, file = free_port(), tmp_path / "mails.jsonl"
    server = subprocess.Popen([sys.executable, "-m", "tests.sink", str(port), str(file)])
    Account.objects.create(
        key="mail", name="Mail", channel="email", transport="smtp", sender="Shop <shop@example.com>",
        settings={"host": "127.0.0.1", "port": port}, is_default=True,
    )  # fmt: skip
    yield file
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where stores lie: one place, so that the empty one is made once."""
    return tmp_path_factory.mktemp("rehearsals")


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, shelf: Path) -> None:
    settings.VAR = shelf


def baskets(households: int) -> dict[int, list[tuple[datetime, str, float]]]:
    """Of the first households: when they bought, the basket, and what it came to."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(
        data.data_file("transactions"), columns=["household_id", "basket_id", "transaction_timestamp", "sales_value"]
    )
    chosen = sorted(set(rows["household_id"].to_pylist()))[:households]
    rows = rows.filter(pc.is_in(rows["household_id"], pa.array(chosen)))
    times = rows["transaction_timestamp"].cast(pa.timestamp("us"))
    rows = rows.set_column(2, "transaction_timestamp", times)
    sums: dict[tuple[int, str, datetime], float] = defaultdict(float)
    for house, basket, at, value in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        sums[house, str(basket), at] += value
    found: dict[int, list[tuple[datetime, str, float]]] = defaultdict(list)
    for (house, basket, at), value in sums.items():
        found[house].append((at, basket, round(value, 2)))
    return {house: sorted(mine) for house, mine in found.items()}


class Shop:
    """A shop whose orders come in day by day, while the real tasks run by a clock that is set."""

    def __init__(self, households: int, days: int, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
        bought = baskets(households)
        last = max(at for mine in bought.values() for at, _, _ in mine)
        weeks = (clock.now().replace(tzinfo=None) - last).days // 7
        shift = timedelta(weeks=weeks)
        self.orders = sorted(
            ((at + shift).replace(tzinfo=data.STORE_ZONE), house, basket, value)
            for house, mine in bought.items() for at, basket, value in mine
        )  # fmt: skip
        self.until = self.orders[-1][0].astimezone(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        self.since, self.step = self.until - timedelta(days=days), timedelta(minutes=step)
        self.source = Source.objects.create(key="shop", name="Shop", kind=Source.Kind.HTTP)
        self.people = sorted(bought)
        self.patch = monkeypatch

    def begin(self) -> None:
        """Everybody known and their past told; the recipe live at the beginning of the days."""
        calls: list[dict[str, Any]] = []
        for house in self.people:
            traits = {k: v for k, v in vars(person(house)).items() if k != "user_id"}
            who, at = person(house).user_id, self.orders[0][0].isoformat()
            calls.append({"type": "identify", "userId": who, "timestamp": at, "traits": traits})
            said = {"type": "track", "event": "Subscribed", "properties": {"topic": "offers"}}
            calls.append(said | {"userId": who, "timestamp": at, "messageId": f"subscribed-{house}"})
        calls += [self.call(one) for one in self.orders if one[0] <= self.since]
        self.take_in(calls, self.since, historical=True)
        self.set_clock(self.since)
        install_recipe(KEY, now=self.since)
        message_tasks.send()
        score_all(self.since)
        judge_all(self.since)
        refresh_due(self.since)
        Journey.objects.filter(key=KEY).update(live_since=self.since)

    def go_on(self) -> None:
        """Look by look to the end, as the timetable would."""
        before = self.since
        while before < self.until:
            now = min(before + self.step, self.until)
            self.take_in([self.call(one) for one in self.orders if before < one[0] <= now], now)
            self.set_clock(now)
            for _ in range(ROUNDS):
                self.beat()
            before = now

    def beat(self) -> None:
        people_tasks.score()
        people_tasks.judge()
        people_tasks.count_missions()
        people_tasks.refresh()
        campaign_tasks.schedule()
        campaign_tasks.react()
        campaign_tasks.advance()
        message_tasks.sweep()
        message_tasks.send()
        campaign_tasks.credit()

    def call(self, order: tuple[datetime, int, str, float]) -> dict[str, Any]:
        at, house, basket, value = order
        said = {"order_id": basket, "total": value, "currency": "USD"}
        return {
            "type": "track", "event": "Order Completed", "userId": person(house).user_id, "properties": said,
            "timestamp": at.isoformat(), "messageId": basket,
        }  # fmt: skip

    def take_in(self, calls: Sequence[dict[str, Any]], now: datetime, *, historical: bool = False) -> None:
        for start in range(0, len(calls), 500):
            done = ingest(calls[start : start + 500], source=self.source, now=now, historical=historical)
            assert all(row.ok for row in done), [row for row in done if not row.ok][:3]

    def set_clock(self, now: datetime) -> None:
        for module, name in ((clock, "now"), (people_tasks, "now"), (message_tasks, "clock_now")):
            self.patch.setattr(module, name, lambda: now)


def numbers() -> dict[str, Any]:
    """What really happened in this installation, counted apart from the code that counts a back-test."""
    journey = Journey.objects.get(key=KEY)
    walks = Enrolment.objects.filter(journey=journey)
    days: dict[str, dict[str, Any]] = defaultdict(lambda: {"entered": 0, "sent": {}})
    for at in walks.exclude(state="refused").values_list("entered_at", flat=True):
        days[at.date().isoformat()]["entered"] += 1
    sent = Delivery.objects.filter(journey=KEY, state="accepted")
    for at in sent.values_list("sent_at", flat=True):
        assert at is not None
        day = days[at.date().isoformat()]["sent"]
        day["email"] = day.get("email", 0) + 1
    states: dict[tuple[str, str], int] = defaultdict(int)
    for node, state in Delivery.objects.filter(journey=KEY).values_list("node", "state"):
        states[node, state] += 1
    return {
        "entered": walks.exclude(state="refused").count(),
        "held_out": walks.filter(ghost=True).exclude(state="refused").count(),
        "refused": walks.filter(state="refused").count(),
        "sent": sent.count(),
        "converted": walks.filter(ghost=False, converted_at__isnull=False).count(),
        "days": dict(days),
        "steps": {key: (row.entered, row.passed, row.waiting, row.dropped) for key, row in funnel(journey).items()},
        "states": dict(states),
    }


def rehearsed(result: dict[str, Any]) -> dict[str, Any]:
    """The same numbers of a back-test."""
    states: dict[tuple[str, str], int] = defaultdict(int)
    for row in result["messages"]:
        states[row["node"], row["state"]] += row["n"]
    names = ("entered", "held_out", "refused", "sent", "converted")
    return {
        **{name: int(result["totals"][name]["sample"]) for name in names},
        "days": {row["day"]: {"entered": row["entered"], "sent": row["sent"]} for row in result["days"]},
        "steps": {
            key: (row["entered"], row["passed"], row["waiting"], row["dropped"]) for key, row in result["steps"].items()
        },
        "states": dict(states),
    }


def finish(row: Rehearsal, *, seconds: float = 120) -> Rehearsal:
    for _ in range(40):
        run.work(row.asked_at, seconds=seconds)
        row.refresh_from_db()
        if row.state not in ("queued", "running"):
            break
    return row


def test_a_back_test_comes_to_what_really_happened(
    size: tuple[int, int, int], sink: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe runs for real through the days, with a mail server at its end; the same days are then rehearsed."""
    households, days, step = size
    with monkeypatch.context() as patch:
        shop = Shop(households, days, step, patch)
        shop.begin()
        shop.go_on()
    happened = numbers()
    mails = [json.loads(line) for line in sink.read_text().splitlines()]
    assert len(mails) == happened["sent"] > 0
    written = everything()

    journey = Journey.objects.get(key=KEY)
    row = run.ask(journey, now=shop.until, days=days, people=households, step_minutes=step)
    finish(row, seconds=5)

    assert row.state == "done", row.error
    assert row.result["people"] == {"sampled": households, "population": households}
    assert row.result["refused_facts"] == 0
    assert rehearsed(row.result) == happened
    assert happened["entered"] > 3
    assert happened["converted"] > 0
    # Nothing left the house, nothing was written into it, and nothing is left of it.
    assert len(sink.read_text().splitlines()) == len(mails)
    assert everything() == written
    assert not list(scratch.folder().glob(f"{row.pk}.*"))


def everything() -> dict[str, int]:
    """How many rows each table of what people did and got holds."""
    return {model.__name__: model._default_manager.count() for model in (Event, Enrolment, Delivery, Profile)}
