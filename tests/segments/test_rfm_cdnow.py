"""The CDNOW sample (Fader and Hardie): our days of orders give its published customer summary, and scoring adds up.

The data lie in the wheel of `lifetimes` and are read by path; the package itself is never imported.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.metadata import distribution
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.db.models import Count, Sum

from segments.models import Order, Profile, RfmEdges, Scores
from segments.rfm import compute_edges, count_gaps, order_days
from segments.scores import score_all
from tests.people import make_source

pytestmark = pytest.mark.django_db(transaction=True)
ZONE = ZoneInfo("UTC")
END = date(1997, 9, 30)  # of the calibration period
NOW = datetime(1997, 9, 30, 23, tzinfo=UTC)


def data(name: str) -> Path:
    return Path(str(distribution("lifetimes").locate_file(f"lifetimes/datasets/{name}")))


def purchases() -> Iterator[tuple[int, date, int]]:
    """(customer of the sample, day, cents) of every line."""
    for line in data("CDNOW_sample.txt").read_text().splitlines():
        _, customer, day, _, value = line.split()
        yield int(customer), date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:]}"), round(float(value) * 100)


def load() -> dict[int, int]:
    """Write everybody with every order; returns the customer by profile."""
    source, lines, start = make_source(), list(purchases()), datetime(1997, 1, 1, tzinfo=UTC)
    people = [
        Profile(shard=customer % 16, bucket=customer, first_seen_at=start, last_seen_at=start, first_name=str(customer))
        for customer in sorted({customer for customer, _, _ in lines})
    ]
    by_customer = {int(row.first_name): row for row in Profile.objects.bulk_create(people, batch_size=500)}
    Order.objects.bulk_create(
        [
            Order(
                source=source, order_id=str(number), profile=by_customer[customer], state="paid", currency="USD",
                placed_at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC), total=cents, net_reporting=cents,
            )
            for number, (customer, day, cents) in enumerate(lines)
        ],
        batch_size=500,
    )  # fmt: skip
    return {row.pk: customer for customer, row in by_customer.items()}


def test_days_of_orders_give_the_published_summary() -> None:
    customers = load()
    assert (len(customers), Order.objects.count(), Order.objects.filter(total=0).count()) == (2357, 6919, 8)
    found = {}
    for pk, rows in groupby(order_days(NOW, zone=ZONE), key=itemgetter(0)):
        days = [day for _, day in rows]
        weeks = [round(span.days / 7, 2) for span in (days[-1] - days[0], END - days[0])]
        found[customers[pk]] = (len(days) - 1, *weeks)
    with data("cdnow_customers_summary.csv").open() as file:
        rows = [(int(r["ID"]), int(r["frequency"]), float(r["recency"]), float(r["T"])) for r in csv.DictReader(file)]
    assert [(customer, *found[customer]) for customer in sorted(found)] == rows
    repeats = [x for x, _, _ in found.values()]
    assert (sum(repeats), repeats.count(0)) == (2457, 1411)
    every, first = count_gaps(order_days(NOW, zone=ZONE))
    assert (every.total(), first.total()) == (2457, 2357 - 1411)


def test_edges_are_numpys_and_scores_add_up() -> None:
    load()
    past = Order.objects.filter(placed_at__lte=NOW)
    sums = past.values("profile").annotate(n=Count("pk"), net=Sum("net_reporting")).filter(net__gt=0)
    edges = compute_edges(NOW, zone=ZONE)
    fractions = [0.2, 0.4, 0.6, 0.8]
    assert edges.frequency == pytest.approx(np.quantile([row["n"] for row in sums], fractions))
    assert edges.monetary == pytest.approx(np.quantile([row["net"] for row in sums], fractions))
    assert RfmEdges.objects.get().population == sums.count()
    assert score_all(NOW) == 2357
    total = Scores.objects.aggregate(orders=Sum("orders"), spent=Sum("spent"))
    assert (total["orders"], total["spent"]) == (past.count(), past.aggregate(n=Sum("net_reporting"))["n"])
    assert not Scores.objects.filter(cell="").exists()
    assert {row["stage"] for row in Scores.objects.values("stage").distinct()} == {
        "newcomer", "growing", "mature", "at_risk", "lapsed",
    }  # fmt: skip
