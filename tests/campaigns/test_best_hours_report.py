"""The report of best hours: both groups counted as by hand, and no difference where it could not be trusted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns.reports import reports
from common.trials import newcombe
from messaging.gates.best_hour import is_compared
from messaging.models import Click, Delivery, SendingRule
from segments.models import Profile
from tests.messages import queue_to
from tests.messaging.mails import ONE_LINK, publish, sent
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
NEWS = NOW - 10 * DAY


def rule(control: int = 50, **fields: Any) -> SendingRule:
    return SendingRule.objects.create(kind="best", channel="email", control=control, active=True, **fields)


def readers(count: int) -> list[Profile]:
    """People who clicked on something sixty days ago."""
    version = publish(ONE_LINK, key="old")
    people = [make_profile(email=f"r{n}@example.com") for n in range(count)]
    for person in people:
        row = sent(person, version, now=NOW - 60 * DAY, prefix=f"old{person.pk}")
        Click.objects.create(delivery=row, kind="click", at=NOW - 60 * DAY)
    return people


def news(people: list[Profile], *, clicks: Any, at: Any = NEWS, after: timedelta = DAY) -> None:
    """A message to each, clicked by those for whom `clicks(n)` holds."""
    version = publish(ONE_LINK, key=f"news{at:%d}")
    for n, person in enumerate(people):
        row = sent(person, version, now=at, ago=timedelta(0), prefix=f"news{person.pk}")
        if clicks(n):
            Delivery.objects.filter(pk=row.pk).update(clicked_at=at + after)


def run(**params: Any) -> Any:
    report = reports.get("best-hours")
    return report.run(report.Params(**params), NOW)


def test_both_groups_are_counted_as_by_hand() -> None:
    kept, people = rule(), readers(60)
    clicks = lambda n: n % 3 != 0 if is_compared(kept.pk, 50, people[n].public_id) else n % 4 != 0  # noqa: E731
    news(people, clicks=clicks)
    compared = [n for n, one in enumerate(people) if is_compared(kept.pk, 50, one.public_id)]
    waiting = [n for n in range(60) if n not in compared]
    k_c, k_w = sum(map(clicks, compared)), sum(map(clicks, waiting))
    table = run()
    (row,) = table.rows
    assert (row["waiting"], row["compared"]) == (len(waiting), len(compared))
    assert (row["waiting_messages"], row["compared_messages"]) == (len(waiting), len(compared))
    assert row["waiting_share"] == pytest.approx(k_w / len(waiting))
    assert row["difference"] == pytest.approx(k_w / len(waiting) - k_c / len(compared))
    assert row["interval"] == pytest.approx(newcombe(k_c, len(compared), k_w, len(waiting)))
    assert list(table.refusals) == []


def test_who_never_answered_before_and_what_came_too_late_do_not_count() -> None:
    rule()
    people = readers(4)
    stranger = make_profile(email="new@example.com")
    news([*people, stranger], clicks=lambda n: True, after=5 * DAY)
    news(people, clicks=lambda n: True, at=NOW - DAY, after=timedelta(hours=1))
    (row,) = run().rows
    assert row["waiting"] + row["compared"] == 4
    assert row["waiting_messages"] + row["compared_messages"] == 4
    assert {row["waiting_share"], row["compared_share"]} - {None} == {0.0}


def test_a_machines_click_makes_nobody_a_reader() -> None:
    rule()
    people = readers(3)
    Click.objects.update(machine=True, why="head")
    news(people, clicks=lambda n: True)
    (row,) = run().rows
    assert (row["waiting"], row["compared"]) == (0, 0)


def test_ghosts_and_service_messages_are_left_out() -> None:
    rule()
    people = readers(2)
    queue_to(people, publish(ONE_LINK, key="ghost"), now=NEWS, prefix="ghost")
    Delivery.objects.filter(dedupe_key__startswith="ghost").update(ghost=True, sent_at=NEWS)
    (row,) = run().rows
    assert (row["waiting"], row["compared"]) == (0, 0)


@pytest.mark.parametrize(
    ("control", "count", "why"),
    [(0, 20, "Nobody is compared"), (50, 6, "fewer than 8 people"), (50, 40, "too few to tell")],
)
def test_too_little_is_refused_and_no_difference_is_shown(control: int, count: int, why: str) -> None:
    rule(control)
    news(readers(count), clicks=lambda n: n == 0)
    table = run()
    assert why in table.refusals[0][0]
    assert "difference" not in table.rows[0]


def test_groups_that_do_not_fit_their_share_are_refused() -> None:
    kept = rule(50)
    people = readers(120)
    news([one for one in people if not is_compared(kept.pk, 50, one.public_id)], clicks=lambda n: True)
    news([one for one in people if is_compared(kept.pk, 50, one.public_id)][:8], clicks=lambda n: True, at=NEWS - DAY)
    assert "do not fit the rule" in run().refusals[0][0]


def test_without_a_rule_there_is_nothing_to_compare() -> None:
    table = run()
    assert list(table.rows) == []
    assert "nothing to compare" in table.refusals[0][0]
